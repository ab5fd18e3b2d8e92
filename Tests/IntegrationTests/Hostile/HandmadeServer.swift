import Foundation
import Identity
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TunnelWire

/// A server made by hand: every connection runs a script that may break any rule.
final class HandmadeServer: Sendable {
    typealias Script = @Sendable (HandmadeServer, HandmadeLink, _ connection: Int) async throws -> Void

    let certificate: ServerCertificate
    let token: Token
    let instance = WireID.fresh()
    private let installation = WireID.fresh()
    private let connections = Atomic<Int>(0)
    private let script: Script

    private init(certificate: ServerCertificate, token: Token, script: @escaping Script) {
        self.certificate = certificate
        self.token = token
        self.script = script
    }

    /// Connections accepted so far.
    var count: Int { self.connections.load(ordering: .relaxed) }

    /// Listens while `body` runs. `script` is run for each connection, the first being 0; what it throws closes the connection.
    static func with<Result>(
        token: Token, in folder: TemporaryFolder, isolation: isolated (any Actor)? = #isolation, script: @escaping Script,
        _ body: (HandmadeServer, _ port: Int) async throws -> Result
    ) async throws -> Result {
        let certificate = try ServerCertificate.loadOrCreate(directory: folder["handmade"], name: "handmade", at: Date())
        let server = HandmadeServer(certificate: certificate, token: token, script: script)
        let listener = try await server.listen()
        do {
            let result = try await body(server, listener.localAddress?.port ?? 0)
            try? await listener.close()
            return result
        } catch {
            try? await listener.close()
            throw error
        }
    }

    private func listen() async throws -> any Channel {
        let tls = try NIOSSLContext(configuration: try .acceptor(self.certificate))
        return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let inbox = LinkInbox()
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandlers(NIOSSLServerHandler(context: tls), InboxHandler(inbox))
                    let link = HandmadeLink(channel: channel, inbox: inbox)
                    let number = self.connections.wrappingAdd(1, ordering: .relaxed).oldValue
                    Task {
                        try? await self.script(self, link, number)
                        await link.close()
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// What a handshake goes through before the WELCOME.
    struct Greeted: Sendable {
        let client: Hello
        let transcript: HandshakeTranscript
        let proof: Proof
    }

    /// Both HELLOs and the client's proof.
    func greet(_ link: HandmadeLink) async throws -> Greeted {
        try await link.waitForTLS()
        var rng = SystemRandomNumberGenerator()
        let mine = Hello(
            role: .server, method: .token, name: "handmade", installation: self.installation, instance: self.instance,
            cluster: "", nonce: (0..<32).map { _ in UInt8.random(in: 0...255, using: &rng) }, tokenID: "",
            software: "handmade", resume: nil)
        try await link.send(mine)
        var payload = try await link.next(.hello)
        let bytes = Array(payload.readableBytesView)
        let client = try Hello(reading: &payload)
        let transcript = HandshakeTranscript(
            tokenID: client.tokenID, dialerHello: bytes, acceptorHello: mine.payload().readableBytesView,
            certificate: self.certificate.fingerprint)
        var proof = try await link.next(.proof)
        return Greeted(client: client, transcript: transcript, proof: try Proof(reading: &proof))
    }

    /// A whole handshake as an honest server does it, for a new session.
    @discardableResult
    func welcome(_ link: HandmadeLink) async throws -> Greeted {
        let greeted = try await self.greet(link)
        try await link.send(self.proof(greeted))
        try await link.send(Welcome(session: .fresh(), secret: Array(repeating: 7, count: 32), resumed: false, received: 0))
        return greeted
    }

    func proof(_ greeted: Greeted) -> Proof {
        Proof(link: greeted.transcript.proof(for: .acceptor, key: AuthenticationKey(self.token, for: .clientToken)).bytes)
    }
}

extension TLSConfiguration {
    /// As an honest acceptor has it.
    static func acceptor(_ certificate: ServerCertificate) throws -> TLSConfiguration {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.certificatePEM.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(certificate.keyPEM.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv13
        configuration.applicationProtocols = ["gotunnel/1"]
        return configuration
    }
}
