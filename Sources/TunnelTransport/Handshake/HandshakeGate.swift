import NIOConcurrencyHelpers

/// How many handshakes may be under way, in all and from one address; the excess waits unread.
///
/// The counting is a value of its own; this wraps it for use from several event loops.
package final class HandshakeGate: Sendable {
    /// Not the standard library's Mutex, which Thread Sanitizer does not know.
    private let book: NIOLockedValueBox<HandshakeBook>

    package init(limit: Int, perSource: Int = 64, waiting: Int = 4_096) {
        self.book = NIOLockedValueBox(HandshakeBook(limit: limit, perSource: perSource, waiting: waiting))
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
    private var nextTicket: UInt64 = 0
    private var inside: [UInt64: String] = [:]
    private var perSourceCount: [String: Int] = [:]
    private(set) var queue: [(ticket: UInt64, source: String, proceed: @Sendable () -> Void)] = []

    var active: Int { self.inside.count }

    init(limit: Int, perSource: Int, waiting: Int) {
        self.limit = limit
        self.perSource = perSource
        self.waiting = waiting
    }

    mutating func enter(source: String, proceed: @escaping @Sendable () -> Void) -> Outcome {
        guard self.hasRoom(source) || self.queue.count < self.waiting else { return .refused }
        self.nextTicket += 1
        if self.hasRoom(source) {
            self.admit(self.nextTicket, source)
            return .admitted(self.nextTicket)
        }
        self.queue.append((self.nextTicket, source, proceed))
        return .waiting(self.nextTicket)
    }

    /// Returns what those who have a place now are to run.
    mutating func leave(_ ticket: UInt64) -> [@Sendable () -> Void] {
        guard let source = self.inside.removeValue(forKey: ticket) else {
            self.queue.removeAll { $0.ticket == ticket }
            return []
        }
        let left = (self.perSourceCount[source] ?? 1) - 1
        self.perSourceCount[source] = left > 0 ? left : nil
        return self.admitWaiting()
    }

    /// Returns what those who have a place now are to run.
    mutating func setLimit(_ limit: Int) -> [@Sendable () -> Void] {
        self.limit = limit
        return self.admitWaiting()
    }

    /// Those that fit take their places, the longest waiting first.
    private mutating func admitWaiting() -> [@Sendable () -> Void] {
        var admitted: [@Sendable () -> Void] = []
        while self.inside.count < self.limit, let index = self.queue.firstIndex(where: { self.hasRoom($0.source) }) {
            let next = self.queue.remove(at: index)
            self.admit(next.ticket, next.source)
            admitted.append(next.proceed)
        }
        return admitted
    }

    private func hasRoom(_ source: String) -> Bool {
        self.inside.count < self.limit && (self.perSourceCount[source] ?? 0) < self.perSource
    }

    private mutating func admit(_ ticket: UInt64, _ source: String) {
        self.inside[ticket] = source
        self.perSourceCount[source, default: 0] += 1
    }
}
