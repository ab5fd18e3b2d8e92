import DequeModule
import NIOCore
import TunnelWire

/// The messages of the cluster on one data session: cut into fragments on the way out, put together on the way in. Sans-IO.
///
/// A credit of its own keeps a long message from taking the session for itself: only ``ClusterLimits/gossipWindow`` bytes
/// are in the session at a time, what comes after them waits here, and other frames pass it. A lane belongs to one session.
package struct GossipLane: Sendable {
    private var queue: Deque<ByteBuffer> = []
    /// Of each fragment in `queue` whether it is the last of its message.
    private var lasts: Deque<Bool> = []
    /// Bytes that wait for credit.
    package private(set) var queuedBytes = 0
    private var credit = ClusterLimits.gossipWindow
    private var peerCredit = ClusterLimits.gossipWindow
    private var untold = 0
    private var assembler = FragmentAssembler()

    /// What may wait beside one message of the longest kind, in bytes.
    private static let queueLimit = ClusterLimits.dataMessage + (1 << 20)

    package init() {}

    /// Bytes kept of a message that is not complete.
    package var heldBytes: Int { self.assembler.heldBytes + self.queuedBytes }

    /// A lane between two processes. It belongs to a session that is carried over with it.
    package struct Frozen: Sendable {
        /// Fragments that wait, and whether each is the last of its message.
        package var fragments: [(bytes: ByteBuffer, isLast: Bool)] = []
        /// What may be sent, what the peer may send, what it was not given back, in bytes.
        package var credit = ClusterLimits.gossipWindow
        package var peerCredit = ClusterLimits.gossipWindow
        package var untold = 0
        /// The beginning of a message from the peer.
        package var incomplete = ByteBuffer()

        package init() {}
    }

    package func freeze() -> Frozen {
        var frozen = Frozen()
        frozen.fragments = zip(self.queue, self.lasts).map { ($0, $1) }
        frozen.credit = self.credit
        frozen.peerCredit = self.peerCredit
        frozen.untold = self.untold
        frozen.incomplete = self.assembler.incomplete
        return frozen
    }

    package init(thawing frozen: Frozen) {
        self.queue = Deque(frozen.fragments.map(\.bytes))
        self.lasts = Deque(frozen.fragments.map(\.isLast))
        self.queuedBytes = frozen.fragments.reduce(0) { $0 + $1.bytes.readableBytes }
        self.credit = frozen.credit
        self.peerCredit = frozen.peerCredit
        self.untold = frozen.untold
        self.assembler = FragmentAssembler(incomplete: frozen.incomplete)
    }

    /// Queues a message. False, and dropped, when it is too long or too much waits already.
    package mutating func enqueue(_ message: ByteBuffer) -> Bool {
        guard message.readableBytes <= ClusterLimits.dataMessage,
            self.queuedBytes + message.readableBytes <= Self.queueLimit
        else { return false }
        for case .fragment(let bytes, let hasMore) in Gossip.split(message: message) {
            self.queue.append(bytes)
            self.lasts.append(!hasMore)
            self.queuedBytes += bytes.readableBytes
        }
        return true
    }

    /// What the session is to send next: nil when nothing waits, or it waits for credit.
    package mutating func next() -> Gossip? {
        if self.untold >= ClusterLimits.gossipWindow / 4 {
            let credit = self.untold
            self.peerCredit += credit
            self.untold = 0
            return .credit(UInt32(clamping: credit))
        }
        guard let first = self.queue.first, Self.cost(first) <= self.credit, let isLast = self.lasts.popFirst() else {
            return nil
        }
        self.queue.removeFirst()
        self.queuedBytes -= first.readableBytes
        self.credit -= Self.cost(first)
        return .fragment(first, hasMore: !isLast)
    }

    /// Takes what came. The whole message, if this was its end; call `next` afterwards.
    package mutating func take(_ gossip: Gossip) throws(WireError) -> ByteBuffer? {
        switch gossip {
        case .credit(let bytes):
            self.credit += Int(bytes)
            guard self.credit <= ClusterLimits.gossipWindow else {
                throw WireError(.creditExceeded, "credit for gossip of \(self.credit) bytes")
            }
            return nil
        case .fragment(let bytes, let hasMore):
            let cost = Self.cost(bytes)
            self.peerCredit -= cost
            guard self.peerCredit >= 0 else { throw WireError(.creditExceeded, "\(bytes.readableBytes) bytes of gossip") }
            self.untold += cost
            return try self.assembler.add(bytes, hasMore: hasMore)
        }
    }

    /// Short fragments are not free: each is a frame that the session keeps.
    private static func cost(_ bytes: ByteBuffer) -> Int { bytes.readableBytes + Limits.frameHeader + 1 }
}

/// What a process does that talks to a peer over a session: from the other end of anybody else's, GOSSIP is a violation.
package protocol GossipTaker: SessionDelegate {}

extension SessionDriver {
    /// Sends a message to the peer at the other end, by the session's lane: in order, repeated after a broken link, lost only
    /// with the session. False, and dropped, when too much waits already.
    package func gossip(_ message: ByteBuffer, by lane: inout GossipLane) -> Bool {
        guard !self.isEnded, lane.enqueue(message) else { return false }
        self.drain(&lane)
        return true
    }

    /// Takes the GOSSIP that the session has received. The whole message, if this was its end. After an error the session
    /// has ended.
    package func take(_ gossip: Gossip, by lane: inout GossipLane) -> ByteBuffer? {
        do throws(WireError) {
            let message = try lane.take(gossip)
            self.drain(&lane)
            return message
        } catch {
            self.end(.violation(error))
            return nil
        }
    }

    private func drain(_ lane: inout GossipLane) {
        guard !self.isEnded else { return }
        while let gossip = lane.next() { self.send(.gossip(gossip)) }
    }
}
