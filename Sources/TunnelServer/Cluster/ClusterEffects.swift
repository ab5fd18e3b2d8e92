import ClusterCore
import Logging
import NIOCore
import Synchronization
import Timing
import TunnelTransport
import TunnelWire

/// Carries what the cluster decides into the rest of the server: ports, ways to clients, sessions with peers, hooks. Holds no
/// decisions. Called on the control plane's event loop unless it says otherwise.
final class ClusterEffects: Sendable {
    /// What only the server itself can do.
    struct Orders: Sendable {
        /// Clients are to be told of other servers than before.
        var announceServers: @Sendable () -> Void
        /// The cluster has an id.
        var founded: @Sendable (WireID) -> Void
    }

    private let context: ServerContext
    private let hooks: LeaderHooks
    private let quiet: Duration
    private let control: any EventLoop
    private let orders: Orders
    private let last = Mutex<Leadership?>(nil)

    /// - Parameter quiet: after how long no earlier leader believes any more that it leads.
    init(context: ServerContext, hooks: LeaderHooks, quiet: Duration, control: any EventLoop, orders: Orders) {
        self.context = context
        self.hooks = hooks
        self.quiet = quiet
        self.control = control
        self.orders = orders
    }

    /// What the directory tells the event loops.
    var listeners: ClusterDirectory.Listeners {
        ClusterDirectory.Listeners(
            client: { [context] client in
                guard let home = context.home(of: client) else { return }
                home.eventLoop.execute { home.value.ownersChanged(client) }
            },
            port: { [context] port in
                for loop in context.loops { loop.eventLoop.execute { loop.value.portChanged(port) } }
            },
            servers: { [weak self] in self?.serversChanged() })
    }

    func apply(_ action: ClusterAction) {
        self.context.directory.apply(action)
        switch action {
        case .memberChanged(let member): self.tell(member)
        case .leadershipChanged(let leadership): self.leadershipChanged(leadership)
        case .unbind(let port, let token): self.leave(port, token)
        case .challenge(let client, let instance):
            guard let home = self.context.home(of: client) else { return }
            home.eventLoop.execute { home.value.challenge(client, instance: instance) }
        case .spread(let count, let server): self.spread(count, to: server)
        case .entryChanged, .portsChanged, .answered, .send, .store, .dial: break
        }
    }

    /// A message for the data session that the first loop has with a peer.
    func sendData(_ message: ByteBuffer, to name: ServerName) {
        guard let loop = self.context.loops.first else { return }
        loop.eventLoop.execute { loop.value.send(message, to: name) }
    }

    /// Keeps up what time alone changes.
    func begin() {
        self.control.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [context] _ in
            context.directory.expirePorts(now: BootClock.now)
            context.directory.challengeGhosts()
        }
        for loop in self.context.loops {
            loop.eventLoop.execute {
                let bound = loop
                loop.eventLoop.scheduleRepeatedTask(initialDelay: .seconds(10), delay: .seconds(10)) { _ in
                    bound.value.dropIdleRoutes()
                }
            }
        }
        self.hooks.run(.follower, term: 0)
    }

    // MARK: Servers

    private func serversChanged() {
        let names = Set(
            self.context.directory.otherServers.filter { !$0.member.addresses.isEmpty }.map(\.member.name))
        for loop in self.context.loops {
            loop.eventLoop.execute {
                loop.value.lanes.set(names)
                loop.value.allOwnersChanged()
            }
        }
        self.orders.announceServers()
    }

    private func tell(_ member: MemberView) {
        let isGone = member.state == .dead || member.state == .left
        for loop in self.context.loops {
            loop.eventLoop.execute {
                if isGone { loop.value.peerIsGone(member.name) }
                loop.value.lanes.note(
                    member.name, isDead: member.state == .dead || member.state == .left, isRestarting: member.state == .restarting
                )
            }
        }
    }

    // MARK: Ports

    private func leave(_ port: UInt16, _ token: Ballot) {
        let closed = self.context.loops.map { loop in loop.eventLoop.flatSubmit { loop.value.ports.review(port) } }
        let directory = self.context.directory
        EventLoopFuture.andAllComplete(closed, on: self.control).whenComplete { _ in directory.hasLeft(port, token: token) }
    }

    // MARK: Clients

    /// Asks so many clients to prefer another server. They go at leisure, and only new streams.
    private func spread(_ count: Int, to server: ServerName) {
        self.context.logger.notice("clients are asked to move", metadata: ["count": "\(count)", "to": "\(server)"])
        let share = (count + self.context.loops.count - 1) / max(1, self.context.loops.count)
        for loop in self.context.loops {
            loop.eventLoop.execute { for session in loop.value.sessions.prefix(share) { session.move(to: server) } }
        }
    }

    // MARK: The lead

    private func leadershipChanged(_ leadership: Leadership) {
        let before = self.last.withLock { last in
            defer { last = leadership }
            return last
        }
        if let cluster = leadership.cluster, before?.cluster != cluster { self.orders.founded(cluster) }
        let (led, leads) = (before?.role == .leader, leadership.role == .leader)
        if leads, !led {
            let term = leadership.term
            self.control.scheduleTask(in: .nanoseconds(self.quiet.wholeNanoseconds)) { [weak self] in
                guard let self, let now = self.last.withLock({ $0 }), now.role == .leader, now.term == term else { return }
                self.hooks.run(.leader, term: term)
            }
        } else if led, !leads {
            self.hooks.run(.follower, term: leadership.term)
        }
    }
}
