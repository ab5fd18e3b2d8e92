import Identity
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOTLS
import TunnelWire

/// What a server shows and believes; a reload puts new ones in place for the connections that come after.
package struct LinkCredentials: Sendable {
    package var tls: TLSContext
    package var certificate: CertificateFingerprint
    package var authenticator: Authenticator

    package init(tls: TLSContext, certificate: CertificateFingerprint, authenticator: Authenticator) {
        self.tls = tls
        self.certificate = certificate
        self.authenticator = authenticator
    }
}

/// Accepts links and brings each, authenticated, to the host of the event loop where its other end lives.
package final class LinkServer: Sendable {
    let gate: HandshakeGate
    let loops: [any EventLoop]
    /// How long a connection may take to authenticate itself.
    let handshakeLimit: TimeAmount
    private let party: NIOLockedValueBox<LocalParty>
    private let hosts: [NIOLoopBound<any LinkHost>]
    private let peers: PeerEntrance?
    private let observer: any HandshakeObserver
    private let metrics: TransportMetrics
    private let credentials: NIOLockedValueBox<LinkCredentials>

    /// - Parameters:
    ///   - hosts: one for each event loop, in the order of `loops`.
    ///   - peers: where peers are taken; whether any are is up to the credentials. Nil: nowhere.
    package init(
        party: LocalParty, credentials: LinkCredentials, gate: HandshakeGate, loops: [any EventLoop],
        hosts: [NIOLoopBound<any LinkHost>], observer: any HandshakeObserver, metrics: TransportMetrics,
        handshakeLimit: TimeAmount = HandshakeDeadline.standard, peers: PeerEntrance? = nil
    ) {
        self.party = NIOLockedValueBox(party)
        assert(peers.map { $0.hosts.count == loops.count } ?? true, "one host of peers for each event loop")
        self.peers = peers
        self.credentials = NIOLockedValueBox(credentials)
        self.gate = gate
        self.loops = loops
        self.hosts = hosts
        self.observer = observer
        self.metrics = metrics
        self.handshakeLimit = handshakeLimit
    }

    /// New credentials for the links that come from now on.
    package func replace(_ credentials: LinkCredentials) { self.credentials.withLockedValue { $0 = credentials } }

    /// Who this server is for the links that come from now on: its cluster may have been founded.
    package func replace(_ party: LocalParty) { self.party.withLockedValue { $0 = party } }

    /// The IP addresses that peers dial from: a reserve of the gate is theirs.
    package func setPeerAddresses(_ addresses: Set<String>) { self.gate.setPeerAddresses(addresses) }

    /// How many handshakes may be under way at a time.
    package func setHandshakeLimit(_ limit: Int) { self.gate.setLimit(limit) }

    /// Listens on `host:port`. Accepted connections are spread over the loops until their greeting says where they belong.
    ///
    /// - Parameter inherited: a socket that listens already, which is used instead.
    package func bind(
        host: String, port: Int, inherited: CInt? = nil, group: MultiThreadedEventLoopGroup
    ) -> EventLoopFuture<any Channel> {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 4_096)
            .linkChildOptions()
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EntryHandler(server: self))
                }
            }
        return inherited.map { bootstrap.withBoundSocket($0) } ?? bootstrap.bind(host: host, port: port)
    }

    /// The event loop where the other end of a link lives.
    enum Home: Sendable {
        /// Sessions, by the index of the loop.
        case loop(Int)
        /// Control links.
        case control(PeerEntrance)
    }

    func home(of greeting: SNIResult) -> Home {
        guard case .hostname(let name) = greeting else { return .loop(0) }
        if name == Placement.controlHostName, let peers = self.peers { return .control(peers) }
        guard let key = Placement.key(hostName: name) else { return .loop(0) }
        return .loop(Placement.loop(key: key, count: self.loops.count))
    }

    func eventLoop(of home: Home) -> any EventLoop {
        switch home {
        case .loop(let index): self.loops[index]
        case .control(let peers): peers.control.eventLoop
        }
    }

    /// Who takes the links there; to be asked on its event loop.
    private func place(_ home: Home) -> AcceptorPlace {
        switch home {
        case .loop(let index):
            .loop(
                index: index, count: self.loops.count, clients: self.hosts[index].value,
                peers: self.peers?.hosts[index].value)
        case .control(let peers): .control(peers.control.value, peers.pace)
        }
    }

    /// TLS and the handshake, on the loop where the other end lives.
    func addHandlers(to channel: any Channel, deadline: HandshakeDeadline, home: Home) throws {
        let credentials = self.credentials.withLockedValue { $0 }
        let seen = SeenCertificate()
        let setup = AcceptorSetup(
            party: self.party.withLockedValue { $0 }, authenticator: credentials.authenticator,
            certificate: credentials.certificate, place: self.place(home), observer: self.observer, metrics: self.metrics)
        let operations = channel.pipeline.syncOperations
        try operations.addHandler(credentials.tls.acceptorHandler(seen: seen))
        try operations.addHandler(AcceptorHandler(setup: setup, seen: seen, deadline: deadline))
    }

    /// A connection that was accepted on another loop goes on here.
    func adopt(
        _ socket: NIOBSDSocket.Handle, greeting: ByteBuffer, rest: HandshakeDeadline.Rest, home: Home, address: String
    ) {
        let loop = self.eventLoop(of: home)
        loop.execute {
            let deadline = NIOLoopBound(HandshakeDeadline(rest), eventLoop: loop)
            ClientBootstrap(group: loop)
                .linkOptions()
                .channelOption(.autoRead, value: false)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        deadline.value.start(on: channel)
                        try self.addHandlers(to: channel, deadline: deadline.value, home: home)
                    }
                }
                .withConnectedSocket(socket)
                .assumeIsolated()
                .whenComplete { result in
                    switch result {
                    case .failure(let error):
                        deadline.value.finish()
                        self.failed(HandshakeError(.disconnected, ConnectFailure(error).reason), address: address)
                    case .success(let channel):
                        channel.pipeline.syncOperations.fireChannelRead(NIOAny(greeting))
                        channel.pipeline.syncOperations.fireChannelReadComplete()
                        try? channel.syncOptions?.setOption(.autoRead, value: true)
                    }
                }
        }
    }

    func failed(_ error: HandshakeError, address: String) {
        self.metrics.rejected(error.failure)
        self.observer.handshakeFailed(error, address: address)
    }
}
