import ClusterCore
import Daemon
import Identity
import Logging
import NIOCore
import NIOPosix
import Settings
import Synchronization
import Timing
import TunnelTransport
import TunnelWire

/// A server's control plane put together: its event loop, its node, its links with the peers.
final class ServerCluster: Sendable {
    /// Where control links are taken.
    let door: NIOLoopBound<any ControlHost>
    let proof: PeerProof
    private let runtime: NIOLoopBound<ClusterRuntime>
    private let effects: ClusterEffects
    private let group: MultiThreadedEventLoopGroup
    private let context: ServerContext

    private init(
        door: NIOLoopBound<any ControlHost>, proof: PeerProof, runtime: NIOLoopBound<ClusterRuntime>, effects: ClusterEffects,
        group: MultiThreadedEventLoopGroup, context: ServerContext
    ) {
        self.door = door
        self.proof = proof
        self.runtime = runtime
        self.effects = effects
        self.group = group
        self.context = context
    }

    /// Everything but running: `start` does that.
    /// - Parameters:
    ///   - plan: what the configuration and the disk say.
    ///   - group: of one thread, for the control plane alone.
    ///   - failed: called when the state cannot be written any more.
    static func make(
        _ plan: ClusterPlan, settings: ServerSettings, context: ServerContext, proof: PeerProof,
        group: MultiThreadedEventLoopGroup, orders: ClusterEffects.Orders, failed: @escaping @Sendable (IdentityProblem) -> Void
    ) async throws -> ServerCluster {
        let control = group.next()
        let cluster = settings.cluster
        let hooks = LeaderHooks(
            onLeader: cluster?.onLeader ?? [], onFollower: cluster?.onFollower ?? [], server: settings.name,
            logger: context.logger)
        let effects = ClusterEffects(
            context: context, hooks: hooks, quiet: plan.configuration.electionTimeout,
            control: control, orders: orders)
        let consumers = ClusterRuntime.Consumers(
            apply: { effects.apply($0) }, sendData: { effects.sendData($0, to: $1) },
            count: { [handle = context.cluster] in handle.set($0) },
            leaderChanged: { [handle = context.cluster] in handle.leaderChanged() },
            failed: failed)
        let made = try await control.submit {
            let links = ControlLinks(eventLoop: control, logger: context.logger) { proof.dialer(on: control) }
            let runtime = ClusterRuntime(
                configuration: plan.configuration, stored: plan.stored, file: plan.file, links: links, eventLoop: control,
                consumers: consumers, logger: context.logger)
            return (NIOLoopBound(runtime, eventLoop: control), NIOLoopBound<any ControlHost>(links, eventLoop: control))
        }.get()
        context.cluster.connect(made.0)
        context.directory.connect(effects.listeners) { [context] in context.cluster.post($0) }
        return ServerCluster(door: made.1, proof: proof, runtime: made.0, effects: effects, group: group, context: context)
    }

    /// Begins to take part. The mapped ports that are known from the disk are known before this returns.
    func start(peers: [PeerAddress]) async throws {
        let runtime = self.runtime
        let effects = self.effects
        try await runtime.eventLoop.submit {
            effects.begin()
            runtime.value.start()
        }.get()
        self.setPeers(peers)
    }

    /// The peers that the configuration names, this server itself left out.
    func setPeers(_ peers: [PeerAddress]) {
        let runtime = self.runtime
        runtime.eventLoop.execute { runtime.value.links.configure(peers) }
    }

    /// Another process of this server goes on within `span`: the peers are told, and the disk is at rest when this returns.
    func pause(within span: Duration) async {
        let runtime = self.runtime
        await withCheckedContinuation { continuation in
            runtime.eventLoop.execute { runtime.value.pause(within: span) { continuation.resume() } }
        }
        // What was said is on its way; a moment lets it leave.
        try? await Task.sleep(for: .milliseconds(20))
    }

    /// Says good-bye to the peers.
    func stop() async {
        await self.context.cluster.stop()
        // The good-byes are on their way; a moment lets them leave.
        try? await Task.sleep(for: .milliseconds(20))
    }

    /// Ends the control plane's loop. To be called when nothing is left that could tell it something: sessions that end do.
    func end() async { try? await self.group.shutdownGracefully() }
}

extension ServerSettings {
    /// The peers to dial: those configured but this server.
    var otherPeers: [PeerAddress] {
        let own = Set(self.clusterAddresses)
        return (self.cluster?.peers ?? []).map(\.peerAddress).filter { !own.contains($0) }
    }
}
