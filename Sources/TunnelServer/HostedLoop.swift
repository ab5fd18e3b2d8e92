import NIOCore
import NIOPosix
import TunnelTransport

/// An event loop of a server, with its clients and its sessions with other servers.
struct HostedLoop: Sendable {
    let eventLoop: any EventLoop
    let loop: NIOLoopBound<ServerLoop>
    /// Where links of clients are taken.
    let host: NIOLoopBound<any LinkHost>
    /// Where data sessions of other servers are taken.
    let peers: NIOLoopBound<any PeerHost>

    /// To be made on `eventLoop`.
    private init(_ loop: ServerLoop, on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.loop = NIOLoopBound(loop, eventLoop: eventLoop)
        self.host = NIOLoopBound(loop, eventLoop: eventLoop)
        self.peers = NIOLoopBound(PeerDoor(loop), eventLoop: eventLoop)
    }

    /// One for each loop of the group.
    static func make(
        _ group: MultiThreadedEventLoopGroup, _ context: ServerContext, _ proof: PeerProof
    ) async throws -> [HostedLoop] {
        let eventLoops = Array(group.makeIterator())
        var made: [HostedLoop] = []
        for (index, eventLoop) in eventLoops.enumerated() {
            made.append(
                try await eventLoop.submit {
                    HostedLoop(
                        ServerLoop(context: context, eventLoop: eventLoop, index: index, of: eventLoops.count) {
                            Self.lane($0, $1, $2, $3, context, proof)
                        }, on: eventLoop)
                }.get())
        }
        context.setLoops(made.map(\.loop))
        return made
    }

    /// A data session from one of the loops to another server.
    private static func lane(
        _ index: Int, _ name: String, _ lane: PeerLane, _ environment: TransportEnvironment, _ context: ServerContext,
        _ proof: PeerProof
    ) -> PeerSession {
        PeerSession(
            PeerSession.Setup(
                address: {
                    let address = context.directory.address(of: name)
                    return (address?.host ?? "", Int(address?.port ?? 0))
                },
                dialer: { proof.dialer(on: environment.eventLoop) }, configuration: context.currentRules.session,
                environment: environment, loop: index), owner: lane, rng: SystemRandomNumberGenerator())
    }
}
