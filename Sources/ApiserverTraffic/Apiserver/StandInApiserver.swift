import Foundation
import Identity
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL
import NIOTLS

/// A stand-in for the kube-apiserver beside a controller: TLS, HTTP/2 and HTTP/1.1, with answers of which every byte is known
/// beforehand (see `Block`). All stand-ins are alike, so that what one began another can go on with.
///
/// - `GET /readyz`
/// - `GET /api/v1/echo?id=ID`: one block with the id's key
/// - `GET /api/v1/list?id=ID&blocks=N`: N blocks of 16 KiB
/// - `GET /api/v1/watch?from=N`: the events after N, each when it happens, for ever
/// - `POST /api/v1/upload?id=ID`: takes blocks; answers how many came, and what was wrong
/// - `GET /api/v1/exec` with an upgrade to `gotunnel-exec`: a two-way stream
package final class StandInApiserver: Sendable {
    package let address: SocketAddress
    private let group: MultiThreadedEventLoopGroup
    private let channels: OpenChannels

    /// - Parameter interval: between two events.
    package static func start(
        name: String, listen: SocketAddress, interval: TimeAmount, recorder: Recorder
    ) async throws -> StandInApiserver {
        let tls = try Self.tls(name: name)
        let facts = ApiFacts(name: name, clock: EventClock(interval: interval), recorder: recorder)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let requests = try await loop.submit {
            NIOLoopBound(SeenRequests(who: name, recorder: recorder), eventLoop: loop)
        }.get()
        let channels = OpenChannels()
        do {
            let listener = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 4096)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channels.add(channel)
                    return channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(NIOSSLServerHandler(context: tls))
                        try pipeline.addHandler(Self.negotiation(facts, requests))
                    }
                }
                .bind(to: listen).get()
            guard let address = listener.localAddress else { throw ChannelError.alreadyClosed }
            return StandInApiserver(address, group, channels)
        } catch {
            try? await group.shutdownGracefully()
            let place = "\(listen.ipAddress ?? "?"):\(listen.port ?? 0)"
            throw TrafficTrouble("cannot listen on \(place): \(Trouble.text(error)); choose another address or port")
        }
    }

    private init(_ address: SocketAddress, _ group: MultiThreadedEventLoopGroup, _ channels: OpenChannels) {
        self.address = address
        self.group = group
        self.channels = channels
    }

    package func stop() async throws { try await self.group.shutdownGracefully() }

    /// Resets nothing, but closes every connection: what an apiserver does that ends.
    func dropConnections() { for channel in self.channels.all { channel.close(promise: nil) } }

    private static func tls(name: String) throws -> NIOSSLContext {
        let now = Date()
        let issued = try CertificateAuthority.create(cluster: "rehearsal", at: now).issue(role: .server, name: name, at: now)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(issued.certificatePEM.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(issued.keyPEM.utf8), format: .pem)))
        configuration.applicationProtocols = ["h2", "http/1.1"]
        configuration.shutdownTimeout = .milliseconds(500)
        return try NIOSSLContext(configuration: configuration)
    }

    private static func negotiation(
        _ facts: ApiFacts, _ requests: NIOLoopBound<SeenRequests>
    ) -> ApplicationProtocolNegotiationHandler {
        ApplicationProtocolNegotiationHandler { result, channel in
            channel.eventLoop.makeCompletedFuture {
                if case .negotiated("h2") = result {
                    try self.serveHTTP2(channel, facts, requests)
                } else {
                    try self.serveHTTP1(channel, facts, requests)
                }
            }
        }
    }

    private static func serveHTTP2(
        _ channel: any Channel, _ facts: ApiFacts, _ requests: NIOLoopBound<SeenRequests>
    ) throws {
        _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: .init(), streamConfiguration: .init()
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                let pipeline = stream.pipeline.syncOperations
                try pipeline.addHandler(HTTP2FramePayloadToHTTP1ServerCodec())
                try pipeline.addHandler(ApiHandler(facts, requests.value, http: "2"))
            }
        }
    }

    private static func serveHTTP1(
        _ channel: any Channel, _ facts: ApiFacts, _ requests: NIOLoopBound<SeenRequests>
    ) throws {
        let handler = ApiHandler(facts, requests.value, http: "1.1")
        let upgrader = ExecUpgrader {
            ExecHandler(answering: ExecCallee(who: facts.name, recorder: facts.recorder, requests: requests.value))
        }
        let bound = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withServerUpgrade: (
                upgraders: [upgrader],
                completionHandler: { context in context.pipeline.syncOperations.removeHandler(bound.value, promise: nil) }
            ))
        try channel.pipeline.syncOperations.addHandler(handler)
    }
}

/// The two-way streams of `exec`.
struct ExecUpgrader: HTTPServerProtocolUpgrader {
    static let name = "gotunnel-exec"
    let make: () -> ExecHandler

    var supportedProtocol: String { Self.name }
    var requiredUpgradeHeaders: [String] { [] }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> { channel.eventLoop.makeSucceededFuture(initialResponseHeaders) }

    func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
        context.eventLoop.makeCompletedFuture { try context.pipeline.syncOperations.addHandler(self.make()) }
    }
}
