import Foundation
import NIOCore
import NIOHTTP1

/// Answers requests as an apiserver would, as far as rehearsals look: `/readyz`, `/stats`, and a small object for the rest.
final class BackendHTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private struct Answer {
        var status = HTTPResponseStatus.ok
        var type = "application/json"
        let body: String
    }

    private let name: String
    private let tally: BackendTally
    private var head: HTTPRequestHead?
    private var hasAsked = false

    init(name: String, tally: BackendTally) {
        self.name = name
        self.tally = tally
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            write(answer(head), keepingAlive: head.isKeepAlive, isHead: head.method == .HEAD, context: context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: HTTPRequestHead) -> Answer {
        let path = head.uri.prefix { $0 != "?" }
        let isProbe = path == "/readyz" || path == "/stats"
        tally.count { stats in
            if !isProbe {
                stats.requests += 1
            } else if !hasAsked {
                stats.httpsConnections -= 1
                stats.probeConnections += 1
            }
        }
        hasAsked = true
        switch path {
        case "/readyz": return Answer(type: "text/plain", body: "ok")
        case "/stats": return statistics()
        default:
            guard head.method == .GET || head.method == .HEAD else {
                return Answer(status: .methodNotAllowed, body: #"{"kind":"Status","reason":"MethodNotAllowed"}"#)
            }
            return Answer(body: Self.object)
        }
    }

    private func statistics() -> Answer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard let bytes = try? encoder.encode(tally.stats) else { return Answer(status: .internalServerError, body: "{}") }
        return Answer(body: String(decoding: bytes, as: UTF8.self))
    }

    /// About 1 KiB, as a small object of an apiserver is.
    private static let object: String = {
        let labels = (1...24).map { #""rehearsal.gotunnel/label-\#($0)":"value-\#($0)""# }.joined(separator: ",")
        return #"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"rehearsal","labels":{\#(labels)}}}"#
    }()

    private func write(_ answer: Answer, keepingAlive: Bool, isHead: Bool, context: ChannelHandlerContext) {
        let headers: HTTPHeaders = [
            "Content-Type": answer.type, "Content-Length": "\(answer.body.utf8.count)", "X-Server": name,
            "Connection": keepingAlive ? "keep-alive" : "close",
        ]
        let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !isHead {
            let body = context.channel.allocator.buffer(string: answer.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepingAlive { written.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
    }
}
