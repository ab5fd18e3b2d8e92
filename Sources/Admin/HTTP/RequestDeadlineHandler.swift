import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Closes a connection that takes too long: to ask, to finish asking, to read the answer. How long the daemon takes to answer is
/// not its business.
final class RequestDeadlineHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: AdminLimits
    private var timer: Scheduled<Void>?

    init(limits: AdminLimits) {
        self.limits = limits
    }

    func handlerAdded(context: ChannelHandlerContext) {
        arm(limits.idle, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: arm(limits.request, context)
        case .body: break
        case .end:
            timer?.cancel()
            timer = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head:
            arm(limits.idle, context)
            context.write(data, promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            // Only what has left for the peer counts as answered: one that does not read runs into the timer of the head.
            let written = promise ?? context.eventLoop.makePromise()
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            written.futureResult.whenSuccess {
                let (handler, context) = bound.value
                handler.arm(handler.limits.idle, context)
            }
            context.write(data, promise: written)
        }
    }

    private func arm(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        guard context.channel.isActive || timer == nil else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: time) { bound.value.close(promise: nil) }
    }
}

/// What one caller may cost the admin API.
package struct AdminLimits: Sendable {
    /// Connections at a time on one listener; further ones are closed.
    package var connections = 64
    /// Longest body of a request in bytes.
    package var body = 64 * 1024
    /// Longest head of a request in bytes.
    package var head = 16 * 1024
    /// Without a request, or with an answer that nobody reads.
    package var idle: TimeAmount = .seconds(60)
    /// From the head of a request to its end.
    package var request: TimeAmount = .seconds(10)
    /// For the daemon to answer, a drain that waits excepted.
    package var answer: Duration = .seconds(15)

    package init() {}
}
