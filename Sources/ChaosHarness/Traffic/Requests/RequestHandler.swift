import Identity
import NIOCore
import NIOHTTP1
import NIOTLS

/// One request: it notes the moments of its stages, and ends once.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// When the request was due.
    let due: NIODeadline
    private(set) var connected: NIODeadline?
    private(set) var secured: NIODeadline?
    /// The backend that answered.
    private(set) var server: String?
    private var status: HTTPResponseStatus?
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?
    private var onEnd: ((RequestHandler, String?) -> Void)?

    /// - Parameters:
    ///   - limit: how long after `due` the request fails.
    ///   - onEnd: called once, on `loop`, with what went wrong.
    init(due: NIODeadline, limit: TimeAmount, loop: any EventLoop, onEnd: @escaping (RequestHandler, String?) -> Void) {
        self.due = due
        self.onEnd = onEnd
        let request = NIOLoopBound(self, eventLoop: loop)
        self.deadline = loop.scheduleTask(deadline: due + limit) { request.value.expire(limit) }
    }

    /// Ends the request, unless it has ended: with a failure or, with nil, well.
    func end(_ failure: String?) {
        guard let onEnd else { return }
        self.onEnd = nil
        deadline?.cancel()
        onEnd(self, failure)
        context?.close(promise: nil)
        context = nil
    }

    private var stage: String {
        if connected == nil { return "connecting" }
        return secured == nil ? "TLS handshake" : "request"
    }

    private func expire(_ limit: TimeAmount) {
        end("\(stage): nothing within \(limit.nanoseconds / 1_000_000) ms")
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        // The limit may have passed while the connection was made.
        guard onEnd != nil else { return context.close(promise: nil) }
        connected = .now()
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case TLSUserEvent.handshakeCompleted = event else { return context.fireUserInboundEventTriggered(event) }
        secured = .now()
        let headers: HTTPHeaders = ["Host": "kubernetes.default", "Connection": "close", "Accept": "application/json"]
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: "/api/v1/namespaces/default/configmaps/rehearsal", headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = head.status
            server = head.headers.first(name: "X-Server").map { PrintableText.sanitize($0) }
        case .body: break
        case .end: end(status == .ok ? nil : "request: status \(status?.code ?? 0)")
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { end("\(stage): \(TrafficFailure.text(error))") }

    func channelInactive(context: ChannelHandlerContext) {
        end("\(stage): closed before the answer")
        context.fireChannelInactive()
    }
}
