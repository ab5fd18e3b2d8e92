import NIOCore
import NIOHTTP1

/// Makes one request after the other on a connection, or a single one on a stream.
final class ExchangeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private var waiting: [Exchange]
    private var current: Exchange?
    /// What the channel does when an exchange is over.
    private let after: After
    private var context: ChannelHandlerContext?

    private enum After {
        case next
        case close
        /// A stream ends by itself when both ends have said their last; to close it before would be to reset it.
        case nothing
    }

    /// For a connection of its own.
    init(_ exchange: Exchange) {
        self.waiting = [exchange]
        self.after = .close
    }

    /// For a stream of its own.
    init(onStream exchange: Exchange) {
        self.waiting = [exchange]
        self.after = .nothing
    }

    /// For a connection that is kept.
    init() {
        self.waiting = []
        self.after = .next
    }

    /// How many are made or to be made.
    var load: Int { self.waiting.count + (self.current == nil ? 0 : 1) }

    func make(_ exchange: Exchange) {
        self.waiting.append(exchange)
        self.advance()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { self.advance() }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.advance()
        context.fireChannelActive()
    }

    private func advance() {
        guard let context, context.channel.isActive, self.current == nil else { return }
        self.waiting.removeAll(where: \.isOver)
        guard !self.waiting.isEmpty else { return }
        let exchange = self.waiting.removeFirst()
        self.current = exchange
        // A connection with half an exchange on it is of no use any more.
        let channel = NIOLoopBound(context, eventLoop: context.eventLoop)
        exchange.abandon = { channel.value.close(promise: nil) }
        exchange.write(to: context, self.wrapOutboundOut)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = self.unwrapInboundIn(data)
        self.current?.read(part)
        guard case .end = part else { return }
        self.current = nil
        switch self.after {
        case .next: self.advance()
        case .close: context.close(promise: nil)
        case .nothing: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.fail("closed in the middle")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.fail(Trouble.text(error))
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.fail("closed in the middle")
        self.context = nil
    }

    private func fail(_ why: String) {
        let all = (self.current.map { [$0] } ?? []) + self.waiting
        (self.current, self.waiting) = (nil, [])
        for exchange in all { exchange.end(why) }
    }
}
