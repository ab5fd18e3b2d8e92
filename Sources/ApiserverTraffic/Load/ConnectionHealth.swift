import NIOCore
import NIOHTTP2

/// Pings an HTTP/2 connection on which nothing has come for a while, and closes it when there is no answer: as client-go does
/// (there after 30 s, for 15 s; here sooner, so that a short rehearsal sees it).
final class ConnectionHealth: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    static let silence = TimeAmount.seconds(5)
    static let patience = TimeAmount.seconds(5)

    /// The other end takes no more streams (GOAWAY).
    private(set) var isLeaving = false
    private var last = NIODeadline.now()
    private var isAsking = false
    private var task: RepeatedTask?

    /// To be put below the HTTP/2 handler.
    var below: LifeNote { LifeNote(self) }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        self.task = context.eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
            bound.value.0.look(bound.value.1)
        }
    }

    private func look(_ context: ChannelHandlerContext) {
        let silent = NIODeadline.now() - self.last
        if self.isAsking, silent > Self.silence + Self.patience {
            context.fireErrorCaught(TrafficTrouble("the connection's health check got no answer"))
            context.close(promise: nil)
        } else if !self.isAsking, silent > Self.silence, context.channel.isActive {
            self.isAsking = true
            let frame = HTTP2Frame(streamID: .rootStream, payload: .ping(HTTP2PingData(withInteger: 1), ack: false))
            context.writeAndFlush(self.wrapOutboundOut(frame), promise: nil)
        }
    }

    /// Something has come. Frames of streams do not pass here; see `LifeNote`.
    fileprivate func noteLife() {
        self.last = .now()
        self.isAsking = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .goAway(_, let code, _) = self.unwrapInboundIn(data).payload {
            self.isLeaving = true
            // In order, the streams that there are finish; otherwise nothing more comes.
            if code != .noError { context.close(promise: nil) }
        }
        context.fireChannelRead(data)
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.task?.cancel() }
    func channelInactive(context: ChannelHandlerContext) {
        self.task?.cancel()
        context.fireChannelInactive()
    }
}

/// Notes every byte that comes on a connection.
final class LifeNote: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let health: ConnectionHealth

    fileprivate init(_ health: ConnectionHealth) { self.health = health }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.health.noteLife()
        context.fireChannelRead(data)
    }
}
