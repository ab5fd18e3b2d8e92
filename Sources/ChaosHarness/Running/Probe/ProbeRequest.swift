import Admin
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Settings

/// One short request on a connection of its own, from the first packet to the last byte of the answer.
struct ProbeRequest: Sendable {
    private let address: ProbeAddress
    private let patience: TimeAmount
    private let tls: NIOSSLContext?

    init(_ address: ProbeAddress, patience: Duration) throws {
        self.address = address
        self.patience = TimeAmount(patience)
        self.tls = address.isEncrypted ? try Self.context() : nil
    }

    private static func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        // Asked is whether somebody answers, and when; nothing secret is sent, and what comes is not believed.
        configuration.certificateVerification = .none
        configuration.applicationProtocols = ["http/1.1"]
        configuration.shutdownTimeout = .milliseconds(500)
        return try NIOSSLContext(configuration: configuration)
    }

    static let cutShort = "closed before the answer was complete"

    /// - Returns: nil when the answer was a good one; otherwise why not.
    func ask() async -> String? {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let outcome = loop.makePromise(of: String?.self)
        let (path, host, tls) = (self.address.path, self.address.host, self.tls)
        let name: String? = if case .name(let name) = host.host { name } else { nil }
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(self.patience)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: name)) }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(ProbeHandler(path: path, host: host.description, outcome))
                }
            }
            .connect(host: host.host.description, port: host.port)
        connecting.whenFailure { outcome.succeed(Self.text($0)) }
        let limit = loop.scheduleTask(in: self.patience) { outcome.succeed("no answer in time") }
        outcome.futureResult.whenComplete { _ in
            limit.cancel()
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        do { return try await outcome.futureResult.get() } catch { return Self.text(error) }
    }

    static func text(_ error: any Error) -> String {
        if let error = error as? HTTPParserError, error == .invalidEOFState { return Self.cutShort }
        if let error = error as? IOError {
            return error.errnoCode == 111 ? "connection refused" : SafeText.line(error.description)
        }
        if let error = error as? NIOConnectionError {
            return error.connectionErrors.first.map { self.text($0.error) } ?? "\(error.host) cannot be looked up"
        }
        return SafeText.line("\(error)")
    }
}

/// Asks as soon as the connection is there, and looks at the answer.
private final class ProbeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let path: String
    private let host: String
    private let outcome: EventLoopPromise<String?>
    private var status: UInt?

    init(path: String, host: String, _ outcome: EventLoopPromise<String?>) {
        self.path = path
        self.host = host
        self.outcome = outcome
    }

    func channelActive(context: ChannelHandlerContext) {
        let headers = HTTPHeaders([("host", self.host), ("connection", "close"), ("user-agent", "gotunnel-chaos")])
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: self.path, headers: headers)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head): self.status = head.status.code
        case .body: break
        case .end:
            let isGood = (200..<300).contains(self.status ?? 0)
            self.outcome.succeed(isGood ? nil : "answered with status \(self.status ?? 0)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.outcome.succeed(ProbeRequest.cutShort)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.outcome.succeed(ProbeRequest.text(error))
        context.close(promise: nil)
    }
}

extension TimeAmount {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .seconds(seconds) + .nanoseconds(attoseconds / 1_000_000_000)
    }
}
