import Foundation
import Identity
import NIOCore
import NIOPosix
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// One server of a cluster in this process: it accepts peers, on a loop for control links and loops for data, and dials them.
final class PeerEnd: Sendable {
    struct Options: Sendable {
        var name = "server-a"
        var cluster = "c1"
        var loops = 2
        /// The cluster secrets it takes; nil: no cluster section.
        var secrets: [String]? = [PeerEnd.secret]
        var acceptsCertificates = false
        var trust: CertificateTrust?
        var certificate: ServerCertificate?
        var installation: WireID?
        var pace = PeerPace()
        var handshakeLimit = TimeAmount.seconds(5)
    }

    static let secret = "gt1_5ec2e701_aa0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    static let oldSecret = "gt1_5ec2e700_bb0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

    let options: Options
    let party: LocalParty
    let group: MultiThreadedEventLoopGroup
    let controlGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loops: [any EventLoop]
    let server: LinkServer
    let observer = TestObserver()
    let control: NIOLoopBound<TestControl>
    let controlLogs = ControlLogs()
    let peers: [NIOLoopBound<TestPeerHost>]
    let clientEvents = Log<TestHost.Event>()
    let clientSessionEvents = Log<TestDelegate.Event>()
    let metrics = TransportMetrics()
    let port: Int
    let certificate: ServerCertificate
    /// What its data sessions are made with.
    let budget = MemoryBudget(limit: 256 << 20)
    private let clients: [NIOLoopBound<TestHost>]
    private let channel: any Channel
    private let directory: TemporaryDirectory

    /// Starts the ends, runs the test, and takes them down.
    static func with<Value: Sendable>(
        _ options: [Options], _ body: ([PeerEnd]) async throws -> Value
    ) async throws -> Value {
        var ends: [PeerEnd] = []
        do {
            for options in options { ends.append(try await PeerEnd(options)) }
            let value = try await body(ends)
            for end in ends { try await end.stop() }
            return value
        } catch {
            for end in ends { try? await end.stop() }
            throw error
        }
    }

    /// Two servers of one cluster, `server-a` and `server-b`.
    static func pair(_ change: (inout Options, inout Options) -> Void = { _, _ in }) -> [Options] {
        var (near, far) = (Options(), Options(name: "server-b"))
        change(&near, &far)
        return [near, far]
    }

    init(_ options: Options) async throws {
        var rng = SeededGenerator()
        self.options = options
        let directory = try TemporaryDirectory()
        self.directory = directory
        let certificate =
            try options.certificate
            ?? ServerCertificate.loadOrCreate(directory: directory.path, name: options.name, at: Date())
        self.certificate = certificate
        let instance = WireID.random(using: &rng)
        self.party = LocalParty(
            role: .server, name: options.name, installation: options.installation ?? .random(using: &rng), instance: instance,
            cluster: options.cluster, software: "tests")
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: options.loops)
        self.loops = Array(self.group.makeIterator()).map { $0 as any EventLoop }
        let controlLoop = self.controlGroup.next()
        let (metrics, budget, clientEvents, sessionEvents) = (
            self.metrics, self.budget, self.clientEvents, self.clientSessionEvents
        )
        let logs = self.controlLogs
        self.control = try await controlLoop.run {
            NIOLoopBound(TestControl(loop: controlLoop, logs: logs), eventLoop: controlLoop)
        }
        var peers: [NIOLoopBound<TestPeerHost>] = []
        var clients: [NIOLoopBound<TestHost>] = []
        for (index, loop) in self.loops.enumerated() {
            let (peer, client) = try await loop.run {
                let environment = TransportEnvironment(eventLoop: loop, budget: budget, metrics: metrics)
                return (
                    NIOLoopBound(TestPeerHost(index: index, environment: environment, instance: instance), eventLoop: loop),
                    NIOLoopBound(
                        TestHost(
                            environment: environment, instance: instance, configuration: SessionConfiguration(),
                            targets: Targets(), events: clientEvents, sessionEvents: sessionEvents), eventLoop: loop)
                )
            }
            peers.append(peer)
            clients.append(client)
        }
        (self.peers, self.clients) = (peers, clients)
        self.server = try await Self.makeServer(
            options, self.party, certificate, self.control, peers, clients, self.observer, metrics)
        self.channel = try await self.server.bind(host: "127.0.0.1", port: 0, group: self.group).get()
        self.port = self.channel.localAddress?.port ?? 0
    }

    private static func makeServer(
        _ options: Options, _ party: LocalParty, _ certificate: ServerCertificate, _ control: NIOLoopBound<TestControl>,
        _ peers: [NIOLoopBound<TestPeerHost>], _ clients: [NIOLoopBound<TestHost>], _ observer: TestObserver,
        _ metrics: TransportMetrics
    ) async throws -> LinkServer {
        var rng = SeededGenerator()
        let clientToken = try Token(TunnelBed.tokenText)
        let ring = try TokenRing([TokenRing.Entry(clientToken)], for: .clientToken, using: &rng)
        let secrets = try options.secrets.map { secrets in
            try PeerCredentials(
                secrets: secrets.map { try Token($0) }, distinctFrom: [clientToken],
                acceptsCertificates: options.acceptsCertificates, using: &rng)
        }
        var (peerHosts, clientHosts): ([NIOLoopBound<any PeerHost>], [NIOLoopBound<any LinkHost>]) = ([], [])
        for host in peers {
            peerHosts.append(
                try await host.eventLoop.run { NIOLoopBound(host.value as any PeerHost, eventLoop: host.eventLoop) })
        }
        for host in clients {
            clientHosts.append(
                try await host.eventLoop.run { NIOLoopBound(host.value as any LinkHost, eventLoop: host.eventLoop) })
        }
        let controlHost = try await control.eventLoop.run {
            NIOLoopBound(control.value as any ControlHost, eventLoop: control.eventLoop)
        }
        return LinkServer(
            party: party,
            credentials: LinkCredentials(
                tls: try .acceptor(certificate, trust: options.trust, acceptsPeers: options.acceptsCertificates),
                certificate: certificate.fingerprint, authenticator: Authenticator(tokens: ring, peers: secrets)),
            gate: HandshakeGate(limit: 512), loops: peers.map { $0.eventLoop }, hosts: clientHosts, observer: observer,
            metrics: metrics, handshakeLimit: options.handshakeLimit,
            peers: PeerEntrance(control: controlHost, hosts: peerHosts, pace: options.pace))
    }

    func stop() async throws {
        try await self.control.eventLoop.run { self.control.value.closeAll() }
        for host in self.peers { try await host.eventLoop.run { host.value.endAll() } }
        for host in self.clients { try await host.eventLoop.run { host.value.endAll() } }
        try await self.channel.close()
        try await self.group.shutdownGracefully()
        try await self.controlGroup.shutdownGracefully()
    }

    // MARK: Dialling

    func dialer(
        on loop: any EventLoop, credential: DialerCredential? = nil, tls: TLSContext? = nil, party: LocalParty? = nil
    ) throws -> PeerDialer {
        PeerDialer(
            eventLoop: loop, tls: try tls ?? .dialer(), party: party ?? self.party,
            credential: try credential ?? .clusterSecret(Token(Self.secret)))
    }

    /// Dials a control link; its messages go to this end's control.
    func dialControl(
        port: Int, credential: DialerCredential? = nil, tls: TLSContext? = nil, party: LocalParty? = nil
    ) async throws -> Result<Hello, HandshakeError> {
        let loop = self.control.eventLoop
        let dialer = UncheckedBox(try self.dialer(on: loop, credential: credential, tls: tls, party: party))
        let (control, pace) = (self.control, self.options.pace)
        let promise = loop.makePromise(of: Result<Hello, HandshakeError>.self)
        loop.execute {
            dialer.value.control(host: "127.0.0.1", port: port, pace: pace) { result in
                promise.succeed(
                    result.map { link in
                        control.value.take(link)
                        return link.peer
                    })
            }
        }
        return try await promise.futureResult.get()
    }

    /// Dials without asking whether the other end is wanted, so that it has to refuse.
    func bluntDial(
        port: Int, purpose: LinkPurpose = .peerControl, credential: DialerCredential? = nil, tls: TLSContext? = nil,
        party: LocalParty? = nil
    ) async throws -> HandshakeError {
        let loop = self.control.eventLoop
        let dialer = UncheckedBox(
            LinkDialer(
                eventLoop: loop, tls: try tls ?? .dialer(), party: party ?? self.party,
                credential: try credential ?? .clusterSecret(Token(Self.secret)), pins: CertificatePins([]),
                connectTimeout: .seconds(5), handshakeLimit: .seconds(5), localAddress: nil, purpose: purpose))
        let promise = loop.makePromise(of: HandshakeError?.self)
        loop.execute {
            dialer.value.dial(host: "127.0.0.1", port: port) { result in
                switch result {
                case .failure(let error): promise.succeed(error)
                case .success(let dialed):
                    dialed.discard(Close(.shutdown, "the test has seen enough"))
                    promise.succeed(nil)
                }
            }
        }
        guard let error = try await promise.futureResult.get() else { throw Overdue(description: "the handshake succeeded") }
        return error
    }

    /// Sends by every control link there is; how many took it.
    func sendControl(_ bytes: [UInt8]) async throws -> Int {
        try await self.control.eventLoop.run {
            self.control.value.links.filter { $0.send(ByteBuffer(bytes: bytes)) }.count
        }
    }
}
