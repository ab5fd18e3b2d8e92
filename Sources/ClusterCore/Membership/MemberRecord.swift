import Timing
import TunnelWire

/// What is known of one member: the highest of all that was said of it.
///
/// What is said of a member is totally ordered, and merging takes the higher of two; so it does not matter in which order,
/// or how often, news arrive.
struct MemberRecord: Equatable, Sendable {
    var name: ServerName
    var incarnation: Incarnation
    var state: MemberView.State
    /// Who had no answer from it, while it is suspect: sorted, the first `Limits.suspecters`.
    var suspecters: [ServerName] = []
    /// Dead or left: when it is forgotten. Restarting: when it has to be back.
    var until: Moment?
    var addresses: [PeerAddress]
    var id: WireID
    var instance: WireID
    // This server's own affairs, which take no part in merging.

    /// When it last told the member what is said of it.
    var toldAt: Moment?
    /// When it last heard the member itself.
    var heardAt: Moment?

    /// A member that is well.
    init(name: ServerName, addresses: [PeerAddress], id: WireID, instance: WireID, incarnation: Incarnation) {
        self.name = name
        self.incarnation = incarnation
        self.state = .alive
        self.addresses = Array(addresses.prefix(Limits.peerAddresses))
        self.id = id
        self.instance = instance
    }

    init(_ update: MemberUpdate, configuration: MembershipConfiguration, now: Moment) {
        self.init(
            name: update.name, addresses: update.addresses, id: update.id, instance: update.instance,
            incarnation: update.incarnation)
        let wait = { (span: UInt32, limit: Duration) in now + min(.milliseconds(Int64(span)), limit) }
        switch update.status {
        case .alive: self.state = .alive
        case .suspect(let names):
            self.state = .suspect
            self.suspecters = Self.bounded(names)
        case .dead(let span):
            self.state = .dead
            self.until = wait(span, configuration.memory)
        case .left(let span):
            self.state = .left
            self.until = wait(span, configuration.memory)
        case .restarting(let span):
            self.state = .restarting
            self.until = wait(span, configuration.restartLimit)
        }
    }

    /// As others are told of it at this moment.
    func update(now: Moment) -> MemberUpdate {
        let span = UInt32(clamping: self.until.map { max(0, ($0 - now).wholeMilliseconds) } ?? 0)
        let status: MemberUpdate.Status =
            switch self.state {
            case .alive: .alive
            case .suspect: .suspect(by: self.suspecters)
            case .dead: .dead(forgetIn: span)
            case .left: .left(forgetIn: span)
            case .restarting: .restarting(within: span)
            }
        return MemberUpdate(
            name: self.name, incarnation: self.incarnation, status: status, addresses: self.addresses, id: self.id,
            instance: self.instance)
    }

    var view: MemberView {
        MemberView(name: self.name, state: self.state, incarnation: self.incarnation, addresses: self.addresses, id: self.id)
    }

    /// It is dead or has left: only a later incarnation brings it back.
    var isGone: Bool { self.state == .dead || self.state == .left }

    /// It asked for patience.
    func isExcused(now: Moment) -> Bool {
        guard self.state == .restarting, let until = self.until else { return false }
        return now < until
    }

    /// Takes over what is higher, and joins what is equal. True: that was news worth passing on.
    mutating func merge(_ other: MemberRecord) -> Bool {
        switch Self.order(self, other) {
        case .orderedBefore:
            let (toldAt, heardAt) = (self.toldAt, self.heardAt)
            self = other
            (self.toldAt, self.heardAt) = (toldAt, heardAt)
            return true
        case .equal:
            // Of two memories of one end the shorter one holds, or no member would ever be forgotten by all.
            self.until = Moment.earlier(self.until, other.until)
            return self.suspect(by: other.suspecters)
        case .orderedAfter:
            return false
        }
    }

    /// These suspect it too. True: that was new.
    mutating func suspect(by names: [ServerName]) -> Bool {
        let joined = Self.bounded(self.suspecters + names)
        guard joined != self.suspecters else { return false }
        self.suspecters = joined
        return true
    }

    private static func bounded(_ names: [ServerName]) -> [ServerName] { Array(Set(names).sorted().prefix(Limits.suspecters)) }
}

extension MemberRecord {
    enum Order { case orderedBefore, equal, orderedAfter }

    /// A later generation overrides all; within one, good-bye is final, then the higher counter holds, then the worse news.
    /// Two lives with the same generation are told apart in some order that all agree on, until the living one raises its own.
    static func order(_ left: MemberRecord, _ right: MemberRecord) -> Order {
        let keys = zip(left.weights, right.weights)
        for (one, other) in keys where one != other { return one < other ? .orderedBefore : .orderedAfter }
        guard left.addresses != right.addresses else { return .equal }
        let texts = (left.addressText, right.addressText)
        return texts.0 == texts.1 ? .equal : texts.0 < texts.1 ? .orderedBefore : .orderedAfter
    }

    private var weights: [UInt64] {
        [
            self.incarnation.generation, self.state == .left ? 1 : 0, self.incarnation.counter, Self.badness(self.state),
            self.instance.high, self.instance.low, self.id.high, self.id.low,
        ]
    }

    private var addressText: String { self.addresses.map { "\($0.host) \($0.port)" }.joined(separator: ",") }

    static func badness(_ state: MemberView.State) -> UInt64 {
        switch state {
        case .alive: 0
        case .restarting: 1
        case .suspect: 2
        case .dead: 3
        case .left: 4
        }
    }
}
