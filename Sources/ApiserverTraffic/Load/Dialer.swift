import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL

/// Makes connections to an apiserver. On one event loop.
final class Dialer {
    let loop: any EventLoop
    let address: SocketAddress
    private let http1: NIOSSLContext
    private let http2: NIOSSLContext
    private let patience: TimeAmount

    init(to address: SocketAddress, patience: TimeAmount, loop: any EventLoop) throws {
        self.address = address
        self.patience = patience
        self.loop = loop
        self.http1 = try Self.context("http/1.1")
        self.http2 = try Self.context("h2")
    }

    private static func context(_ name: String) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        // A stand-in makes its certificate anew at each start; what is rehearsed is not whom to trust.
        configuration.certificateVerification = .none
        configuration.applicationProtocols = [name]
        configuration.shutdownTimeout = .milliseconds(500)
        return try NIOSSLContext(configuration: configuration)
    }

    /// A connection of HTTP/1.1 with this handler.
    func connect(_ handler: ExchangeHandler) -> EventLoopFuture<any Channel> {
        self.connect(self.http1) { pipeline in
            try pipeline.addHTTPClientHandlers()
            try pipeline.addHandler(handler)
        }
    }

    func connect(
        _ tls: NIOSSLContext, _ configure: @escaping (ChannelPipeline.SynchronousOperations) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound(configure, eventLoop: self.loop)
        return ClientBootstrap(group: self.loop)
            .connectTimeout(self.patience)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: nil))
                    try bound.value(pipeline)
                }
            }
            .connect(to: self.address)
    }

    /// A connection of HTTP/1.1 whose answers go to a handler of any kind.
    func connect(watching handler: any ChannelInboundHandler) -> EventLoopFuture<any Channel> {
        self.connect(self.http1) { pipeline in
            try pipeline.addHTTPClientHandlers()
            try pipeline.addHandler(handler)
        }
    }

    /// A connection that becomes a two-way stream.
    func connect(exec handler: ExecHandler, refused: @escaping (String) -> Void) -> EventLoopFuture<any Channel> {
        let upgrader = ExecClientUpgrader(handler: NIOLoopBound(handler, eventLoop: self.loop))
        let request = ExecRequest(refused)
        let bound = NIOLoopBound(request, eventLoop: self.loop)
        return self.connect(self.http1) { pipeline in
            try pipeline.addHTTPClientHandlers(
                withClientUpgrade: (
                    upgraders: [upgrader],
                    completionHandler: { context in
                        bound.value.isUpgraded = true
                        context.pipeline.syncOperations.removeHandler(bound.value, promise: nil)
                    }
                ))
            try pipeline.addHandler(request)
        }
    }

    /// A connection of HTTP/2, and what makes streams on it.
    func connectShared(
        _ health: ConnectionHealth
    ) -> EventLoopFuture<(any Channel, NIOHTTP2Handler.StreamMultiplexer)> {
        let made = NIOLoopBoundBox.makeBoxSendingValue(
            NIOHTTP2Handler.StreamMultiplexer?.none, eventLoop: self.loop)
        return self.connect(self.http2) { pipeline in
            try pipeline.addHandler(health.below)
            made.value = try pipeline.configureHTTP2Pipeline(
                mode: .client, connectionConfiguration: .init(), streamConfiguration: .init()
            ) { $0.eventLoop.makeSucceededVoidFuture() }
            try pipeline.addHandler(health)
        }.flatMapThrowing { channel in
            guard let multiplexer = made.value else { throw ChannelError.alreadyClosed }
            return (channel, multiplexer)
        }
    }
}

/// Asks for a two-way stream.
private final class ExecRequest: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    var isUpgraded = false
    private var refused: ((String) -> Void)?

    init(_ refused: @escaping (String) -> Void) { self.refused = refused }

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { self.ask(context) } }

    func channelActive(context: ChannelHandlerContext) {
        self.ask(context)
        context.fireChannelActive()
    }

    private func ask(_ context: ChannelHandlerContext) {
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: ApiPath.exec,
            headers: HTTPHeaders([("host", "apiserver"), ("content-length", "0")]))
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = self.unwrapInboundIn(data) { self.end("answered with status \(head.status.code)", context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end("closed in the middle", context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.end(Trouble.text(error), context) }

    private func end(_ why: String, _ context: ChannelHandlerContext) {
        guard !self.isUpgraded, let refused else { return }
        self.refused = nil
        refused(why)
        context.close(promise: nil)
    }
}

private struct ExecClientUpgrader: NIOHTTPClientProtocolUpgrader, Sendable {
    let handler: NIOLoopBound<ExecHandler>

    var supportedProtocol: String { ExecUpgrader.name }
    var requiredUpgradeHeaders: [String] { [] }

    func addCustom(upgradeRequestHeaders: inout HTTPHeaders) {}
    func shouldAllowUpgrade(upgradeResponse: HTTPResponseHead) -> Bool { true }

    func upgrade(context: ChannelHandlerContext, upgradeResponse: HTTPResponseHead) -> EventLoopFuture<Void> {
        context.eventLoop.makeCompletedFuture { try context.pipeline.syncOperations.addHandler(self.handler.value) }
    }
}
