import Admin
import ClusterCore
import Daemon
import DequeModule
import Identity
import Logging
import NIOCore
import Systemd
import Timing
import TunnelTransport
import TunnelWire

/// Runs a server's `ClusterNode`: its control links, its disk, its clock. Bound to the event loop of the control plane, which
/// no traffic shares; what others want of it comes by `post`.
final class ClusterRuntime {
    /// Who is told what the cluster decided. Called on the runtime's event loop.
    struct Consumers: Sendable {
        /// Every action that is not the runtime's own affair.
        var apply: @Sendable (ClusterAction) -> Void
        /// A message for a peer's data session.
        var sendData: @Sendable (ByteBuffer, ServerName) -> Void
        /// What the metrics show, after every event.
        var count: @Sendable (ClusterMetrics.Values) -> Void
        var leaderChanged: @Sendable () -> Void
        /// The state cannot be written any more: the process must end.
        var failed: @Sendable (IdentityProblem) -> Void
    }

    let eventLoop: any EventLoop
    let links: ControlLinks
    private let consumers: Consumers
    private let logger: Logger
    private var node: ClusterNode
    private var disk: ClusterDisk?
    private var rng = SystemRandomNumberGenerator()
    private var pending: Deque<ClusterEvent> = []
    private var isHandling = false
    private var timer: Scheduled<Void>?
    private var timerAt: Moment?
    private var lastID = ClusterRuntime.ownIDs
    /// Operators' wishes that are not answered yet.
    private var wishes: [UInt64: EventLoopPromise<RequestOutcome>] = [:]
    /// What the admin API shows.
    private(set) var currentView = ClusterView()
    private var assignmentCount = 0
    private var isStopped = false

    /// Ids of requests from here on are the runtime's own; those of others lie below.
    private static let ownIDs: UInt64 = 1 << 63
    /// How long an operator's wish waits for a leader.
    private static let wishPatience = TimeAmount.seconds(15)

    /// - Parameters:
    ///   - stored: what the life before has left.
    ///   - file: where it is kept.
    init(
        configuration: ClusterConfiguration, stored: StoredState?, file: ClusterFile, links: ControlLinks,
        eventLoop: any EventLoop, consumers: Consumers, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.links = links
        self.consumers = consumers
        self.logger = logger
        self.node = ClusterNode(configuration: configuration, stored: stored, now: BootClock.now, rng: &self.rng)
        let bound = NIOLoopBound(WeakRuntime(), eventLoop: eventLoop)
        self.disk = ClusterDisk(
            file: file, id: configuration.id,
            stored: { ticket in eventLoop.execute { bound.value.runtime?.handle(.stored(ticket: ticket)) } },
            failed: consumers.failed)
        bound.value.runtime = self
    }

    /// Calls `body` behind what is being written.
    func whenDiskIsIdle(_ body: @escaping @Sendable () -> Void) {
        guard let disk = self.disk else { return body() }
        disk.whenIdle(body)
    }

    /// Lets the disk's thread speak of the runtime without keeping it.
    private final class WeakRuntime {
        weak var runtime: ClusterRuntime?
    }

    /// Begins: what was assigned is known at once, the rest follows.
    func start() {
        self.links.onEvent = { [weak self] in self?.handle($0) }
        self.handle(.timer)
        self.refreshView()
    }

    /// Says good-bye to the peers.
    func stop() {
        guard !self.isStopped else { return }
        self.handle(.leave)
        self.isStopped = true
        self.timer?.cancel()
        self.links.stop()
        for promise in self.wishes.values { promise.fail(StoppedError()) }
        self.wishes = [:]
    }

    /// Another process goes on: the peers wait for it. Calls `done` when nothing is being written any more.
    func pause(within span: Duration, done: @escaping @Sendable () -> Void) {
        guard !self.isStopped else { return done() }
        self.handle(.restart(within: span))
        self.isStopped = true
        self.timer?.cancel()
        self.links.stop()
        for promise in self.wishes.values { promise.fail(StoppedError()) }
        self.wishes = [:]
        self.whenDiskIsIdle(done)
    }

    struct StoppedError: Error, CustomStringConvertible {
        let description = "the server stops"
    }

    // MARK: Events

    func handle(_ event: ClusterEvent) {
        guard !self.isStopped else { return }
        self.pending.append(event)
        // What an action brings about may come back here; the loop below goes on with it.
        guard !self.isHandling else { return }
        self.isHandling = true
        while let next = self.pending.popFirst() {
            for action in self.node.on(next, now: BootClock.now, rng: &self.rng) { self.perform(action) }
        }
        self.isHandling = false
        self.count()
        self.planTimer()
    }

    private func perform(_ action: ClusterAction) {
        switch action {
        case .send(let message, let name): self.send(message, to: name)
        case .store(let state, let ticket): self.disk?.write(state, ticket: ticket)
        case .dial(let name): self.links.hurry(name)
        case .memberChanged(let member):
            self.note(member)
            if member.name != self.node.configuration.name { self.links.learn(member) }
            self.consumers.apply(action)
        case .leadershipChanged(let leadership):
            self.note(leadership)
            self.consumers.apply(action)
        case .answered(let id, let outcome):
            if let promise = self.wishes.removeValue(forKey: id) {
                promise.succeed(outcome)
            } else {
                self.consumers.apply(action)
            }
        case .portsChanged(let ports):
            self.assignmentCount = ports.count
            self.consumers.apply(action)
        case .entryChanged, .unbind, .challenge, .spread: self.consumers.apply(action)
        }
    }

    private func send(_ message: ClusterMessage, to name: ServerName) {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        switch message.lane {
        case .control: self.links.send(buffer, to: name)
        case .data: self.consumers.sendData(buffer, name)
        }
    }

    /// A message that came by a data session.
    func received(_ message: ByteBuffer, from name: ServerName) {
        var message = message
        do throws(WireError) {
            let decoded = try ClusterMessage(reading: &message)
            self.handle(.received(decoded, from: name))
        } catch {
            self.logger.warning("peer broke the protocol", metadata: ["peer": "\(name)", "reason": "\(error)"])
        }
    }

    // MARK: Time

    private func planTimer() {
        guard !self.isStopped, let deadline = self.node.deadline else { return }
        let now = BootClock.now
        if let timerAt = self.timerAt, timerAt <= deadline, timerAt > now { return }
        self.timer?.cancel()
        self.timerAt = deadline
        let wait = max(0, deadline > now ? deadline.nanoseconds - now.nanoseconds : 0)
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) { [weak self] in
            self?.timerAt = nil
            self?.handle(.timer)
        }
    }

    // MARK: Operators

    /// Has something done by whoever leads; fails when no leader answers in time.
    func ask(_ event: (_ id: UInt64) -> ClusterEvent) -> EventLoopFuture<RequestOutcome> {
        let promise = self.eventLoop.makePromise(of: RequestOutcome.self)
        guard !self.isStopped else {
            promise.fail(StoppedError())
            return promise.futureResult
        }
        self.lastID += 1
        let id = self.lastID
        self.wishes[id] = promise
        self.handle(event(id))
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.wishPatience) { [weak self] in
            guard let self, let promise = self.wishes.removeValue(forKey: id) else { return }
            self.handle(.withdraw(id: id))
            promise.fail(NoAnswerError())
        }
        return promise.futureResult
    }

    struct NoAnswerError: Error, CustomStringConvertible {
        let description =
            "no leader has answered within 15 s; a majority of the voters has to be up and linked (gotunnelctl peers)"
    }

    // MARK: Showing

    private func note(_ member: MemberView) {
        self.currentView.members = self.node.members
        guard member.name != self.node.configuration.name else { return }
        let metadata: Logger.Metadata = [
            "peer": "\(member.name)", "state": "\(member.state.rawValue)", "generation": "\(member.incarnation.generation)",
        ]
        switch member.state {
        case .dead: self.logger.warning("peer is dead", metadata: .event(.peerDead).merging(metadata) { $1 })
        case .alive, .suspect, .left, .restarting: self.logger.notice("peer changed", metadata: metadata)
        }
    }

    private func note(_ leadership: Leadership) {
        let before = self.currentView.leadership
        self.currentView.leadership = leadership
        if before?.leader != leadership.leader { self.consumers.leaderChanged() }
        guard before?.leader != leadership.leader || before?.role != leadership.role else { return }
        // A single server leads itself; nobody wants to know.
        self.logger.log(
            level: self.node.configuration.peers.isEmpty ? .debug : .notice, "leadership changed",
            metadata: .event(.leaderChanged).merging([
                "role": "\(leadership.role.rawValue)", "leader": "\(leadership.leader ?? "none")", "term": "\(leadership.term)",
            ]) { $1 })
    }

    private func count() {
        var values = ClusterMetrics.Values()
        for member in self.currentView.members {
            if let state = PeerStatus.State(rawValue: member.state.rawValue) { values.members[state, default: 0] += 1 }
        }
        values.term = self.currentView.leadership?.term ?? 0
        values.isLeader = self.currentView.leadership?.role == .leader
        values.registryEntries = self.node.registry.entryCount
        values.assignments = self.assignmentCount
        self.consumers.count(values)
    }

    /// Round trips change all the time; they are looked at once a second.
    private func refreshView() {
        guard !self.isStopped else { return }
        let trips = Dictionary(
            self.node.members.compactMap { member in self.links.roundTrip(member.name).map { (member.name, $0) } },
            uniquingKeysWith: { first, _ in first })
        self.currentView.roundTrips = trips
        self.currentView.mappedPorts = self.node.mappedPorts
        self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in self?.refreshView() }
    }
}
