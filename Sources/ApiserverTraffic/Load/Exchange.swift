import ChaosCore
import NIOCore
import NIOHTTP1

/// One request and what becomes of it. On one event loop.
final class Exchange {
    let kind: Observation.Kind
    let http: String
    let path: ApiPath
    /// Blocks that an upload sends.
    let upload: UInt64
    /// When it was to be made; its time counts from here.
    let due: NIODeadline
    private var check: AnswerCheck
    private var deadline: Scheduled<Void>?
    private var whenOver: ((Exchange, _ failure: String?) -> Void)?
    /// Closes what it is on, when its time is over.
    var abandon: (() -> Void)?
    private(set) var apiserver: String?

    var isOver: Bool { self.whenOver == nil }
    var harms: [FoundHarm] { self.check.harms }

    init(
        _ kind: Observation.Kind, http: String, _ path: ApiPath, upload: UInt64 = 0, due: NIODeadline, patience: TimeAmount,
        loop: any EventLoop, whenOver: @escaping (Exchange, _ failure: String?) -> Void
    ) {
        self.kind = kind
        self.http = http
        self.path = path
        self.upload = upload
        self.due = due
        self.check = AnswerCheck(path, upload: upload)
        self.whenOver = whenOver
        let bound = NIOLoopBound(self, eventLoop: loop)
        self.deadline = loop.scheduleTask(deadline: due + patience) {
            // Its end is told before the connection's: that is only what follows from it.
            let abandon = bound.value.abandon
            bound.value.end("no answer within \(patience.inSeconds) s")
            abandon?()
        }
    }

    func end(_ failure: String?) {
        guard let whenOver else { return }
        self.whenOver = nil
        self.deadline?.cancel()
        self.abandon = nil
        whenOver(self, failure)
    }

    // MARK: The answer

    func read(_ part: HTTPClientResponsePart) {
        switch part {
        case .head(let head):
            self.apiserver = head.headers.first(name: "x-apiserver").map { String($0.prefix(63)) }
            self.check.begin(status: Int(head.status.code))
        case .body(let bytes): self.check.read(bytes)
        case .end: self.end(self.check.conclude())
        }
    }

    /// The request, as it is to be written.
    func write(to context: ChannelHandlerContext, _ wrap: (HTTPClientRequestPart) -> NIOAny) {
        var headers = HTTPHeaders([("host", "apiserver")])
        let blocks = (1...max(1, self.upload)).prefix(Int(self.upload)).map {
            Block(key: Block.key(of: self.path.id), number: $0, length: ApiHandler.listBlock)
        }
        if self.upload > 0 {
            let length = blocks.count * (Block.headerLength + ApiHandler.listBlock) + Block.headerLength
            headers.add(name: "content-length", value: "\(length)")
        }
        let method: HTTPMethod = self.upload > 0 ? .POST : .GET
        context.write(
            wrap(.head(HTTPRequestHead(version: .http1_1, method: method, uri: self.path.uri, headers: headers))), promise: nil)
        if self.upload > 0 {
            for block in blocks + [Block(key: Block.key(of: self.path.id), number: self.upload, length: 0)] {
                var buffer = context.channel.allocator.buffer(capacity: Block.headerLength + block.length)
                block.write(to: &buffer)
                context.write(wrap(.body(.byteBuffer(buffer))), promise: nil)
            }
        }
        context.writeAndFlush(wrap(.end(nil)), promise: nil)
    }
}

extension ApiPath {
    var id: String {
        switch self {
        case .ready, .watch: ""
        case .echo(let id), .list(let id, _), .upload(let id): id
        }
    }
}
