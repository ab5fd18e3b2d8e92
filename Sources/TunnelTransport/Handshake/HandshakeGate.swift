import NIOConcurrencyHelpers

/// How many handshakes may be under way, in all and from one address; the excess waits unread.
///
/// The counting is a value of its own; this wraps it for use from several event loops.
package final class HandshakeGate: Sendable {
    /// Not the standard library's Mutex, which Thread Sanitizer does not know.
    private let book: NIOLockedValueBox<HandshakeBook>

    /// - Parameter reserve: places beside the others, for the peers' addresses alone.
    package init(limit: Int, perSource: Int = 64, waiting: Int = 4_096, reserve: Int = 64) {
        self.book = NIOLockedValueBox(
            HandshakeBook(limit: limit, perSource: perSource, waiting: waiting, reserve: reserve))
    }

    /// Asks for a place. `proceed` runs at once or when a place becomes free, on whatever thread that happens.
    /// Nil when too many wait already: the connection is to be reset.
    func enter(source: String, proceed: @escaping @Sendable () -> Void) -> HandshakePass? {
        let outcome = self.book.withLockedValue { $0.enter(source: source, proceed: proceed) }
        switch outcome {
        case .refused: return nil
        case .admitted(let ticket):
            proceed()
            return HandshakePass(gate: self, ticket: ticket)
        case .waiting(let ticket):
            return HandshakePass(gate: self, ticket: ticket)
        }
    }

    /// A new bound for all together; those inside stay.
    package func setLimit(_ limit: Int) {
        for proceed in self.book.withLockedValue({ $0.setLimit(limit) }) { proceed() }
    }

    /// The IP addresses that peers dial from: when the gate is full for others, a reserve is left for them.
    package func setPeerAddresses(_ addresses: Set<String>) {
        for proceed in self.book.withLockedValue({ $0.setPeerAddresses(addresses) }) { proceed() }
    }

    fileprivate func leave(_ ticket: UInt64) {
        for proceed in self.book.withLockedValue({ $0.leave(ticket) }) { proceed() }
    }

    /// Handshakes under way and waiting, for metrics.
    package var load: (active: Int, waiting: Int) { self.book.withLockedValue { ($0.active, $0.queue.count) } }
}

/// A place in the gate, or in the queue before it. Give it back exactly once; further times do nothing.
final class HandshakePass: Sendable {
    private let gate: HandshakeGate
    private let ticket: UInt64

    fileprivate init(gate: HandshakeGate, ticket: UInt64) {
        self.gate = gate
        self.ticket = ticket
    }

    func release() { self.gate.leave(self.ticket) }
}

/// The book of a gate: who is inside, who waits. One that waits does not hold up others behind it from elsewhere.
struct HandshakeBook {
    enum Outcome {
        case admitted(UInt64)
        case waiting(UInt64)
        case refused
    }

    private var limit: Int
    private let perSource: Int
    private let waiting: Int
    private let reserve: Int
    /// IP addresses as ``plain(_:)`` writes them.
    private var peerAddresses: Set<String> = []
    /// Tickets of those inside that hold a place of the reserve.
    private var inReserve: Set<UInt64> = []
    private var nextTicket: UInt64 = 0
    private var inside: [UInt64: String] = [:]
    private var perSourceCount: [String: Int] = [:]
    private(set) var queue: [(ticket: UInt64, source: String, proceed: @Sendable () -> Void)] = []

    var active: Int { self.inside.count }

    init(limit: Int, perSource: Int, waiting: Int, reserve: Int = 0) {
        self.limit = limit
        self.perSource = perSource
        self.waiting = waiting
        self.reserve = reserve
    }

    mutating func enter(source: String, proceed: @escaping @Sendable () -> Void) -> Outcome {
        self.nextTicket += 1
        if self.admit(self.nextTicket, source) { return .admitted(self.nextTicket) }
        guard self.queue.count < self.waiting else { return .refused }
        self.queue.append((self.nextTicket, source, proceed))
        return .waiting(self.nextTicket)
    }

    /// Returns what those who have a place now are to run.
    mutating func leave(_ ticket: UInt64) -> [@Sendable () -> Void] {
        guard let source = self.inside.removeValue(forKey: ticket) else {
            self.queue.removeAll { $0.ticket == ticket }
            return []
        }
        guard self.inReserve.remove(ticket) == nil else { return self.admitWaiting() }
        let left = (self.perSourceCount[source] ?? 1) - 1
        self.perSourceCount[source] = left > 0 ? left : nil
        return self.admitWaiting()
    }

    /// Returns what those who have a place now are to run.
    mutating func setLimit(_ limit: Int) -> [@Sendable () -> Void] {
        self.limit = limit
        return self.admitWaiting()
    }

    /// Returns what those who have a place now are to run.
    mutating func setPeerAddresses(_ addresses: Set<String>) -> [@Sendable () -> Void] {
        self.peerAddresses = Set(addresses.map(Self.plain))
        return self.admitWaiting()
    }

    /// Those that fit take their places, the longest waiting first.
    private mutating func admitWaiting() -> [@Sendable () -> Void] {
        var admitted: [@Sendable () -> Void] = []
        while self.isAnythingFree,
            let index = self.queue.firstIndex(where: { self.hasRoom($0.source) || self.hasReserve($0.source) })
        {
            let next = self.queue.remove(at: index)
            guard self.admit(next.ticket, next.source) else { break }
            admitted.append(next.proceed)
        }
        return admitted
    }

    private var isAnythingFree: Bool {
        self.inside.count - self.inReserve.count < self.limit
            || (!self.peerAddresses.isEmpty && self.inReserve.count < self.reserve)
    }

    private func hasRoom(_ source: String) -> Bool {
        self.inside.count - self.inReserve.count < self.limit && (self.perSourceCount[source] ?? 0) < self.perSource
    }

    private func hasReserve(_ source: String) -> Bool {
        self.inReserve.count < self.reserve && self.peerAddresses.contains(Self.plain(source))
    }

    /// Gives a place if there is one for this source.
    private mutating func admit(_ ticket: UInt64, _ source: String) -> Bool {
        if self.hasRoom(source) {
            self.perSourceCount[source, default: 0] += 1
        } else if self.hasReserve(source) {
            self.inReserve.insert(ticket)
        } else {
            return false
        }
        self.inside[ticket] = source
        return true
    }

    /// A listener on both families shows an IPv4 address as `::ffff:192.0.2.1`.
    private static func plain(_ address: String) -> String {
        let mapped = "::ffff:"
        return address.hasPrefix(mapped) && address.contains(".") ? String(address.dropFirst(mapped.count)) : address
    }
}
