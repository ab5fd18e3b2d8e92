import ChaosCore
import NIOCore
import NIOHTTP1

/// What an apiserver needs to know to answer.
struct ApiFacts: Sendable {
    let name: String
    let clock: EventClock
    let recorder: Recorder
}

/// Answers one connection's or stream's requests.
final class ApiHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// A block of a list.
    static let listBlock = 16 << 10
    private static let mostBlocks: UInt64 = 8_192

    private let facts: ApiFacts
    private let requests: SeenRequests
    private let http: String
    private var request: ApiPath?
    private var upload: UploadCheck?
    /// Blocks of an answer that are still to be written.
    private var rest: (key: UInt64, next: UInt64, count: UInt64)?
    private var watch: Scheduled<Void>?
    private var nextEvent: UInt64 = 0

    init(_ facts: ApiFacts, _ requests: SeenRequests, http: String) {
        self.facts = facts
        self.requests = requests
        self.http = http
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            let path = ApiPath(head.uri)
            self.request = path
            if case .upload(let id)? = path {
                self.requests.accept(id, .upload)
                self.upload = UploadCheck(id: id)
            }
        case .body(let bytes): self.upload?.read(bytes)
        case .end: self.answer(context)
        }
    }

    private func answer(_ context: ChannelHandlerContext) {
        switch self.request {
        case .ready?: self.reply("ok\n", .ok, context)
        case .echo(let id)?:
            var body = context.channel.allocator.buffer(capacity: 512)
            ApiPath.echoBlock(id).write(to: &body)
            self.reply(body, .ok, context)
        case .list(let id, let blocks)?:
            guard blocks <= Self.mostBlocks else { return self.reply("too large a list\n", .badRequest, context) }
            self.writeHead(.ok, length: Int(blocks) * (Block.headerLength + Self.listBlock), context)
            self.rest = (Block.key(of: id), 1, blocks)
            self.writeMore(context)
        case .watch(let from)?:
            self.writeHead(.ok, length: nil, context)
            context.flush()
            self.nextEvent = from &+ 1
            self.watchNext(context)
        case .upload?: self.answerUpload(context)
        case nil: self.reply("there is nothing here\n", .notFound, context)
        }
    }

    private func answerUpload(_ context: ChannelHandlerContext) {
        guard var upload = self.upload else { return }
        self.upload = nil
        let (text, harms) = upload.conclude()
        for harm in harms {
            self.facts.recorder.note(
                Observation(
                    t: NIODeadline.now().inSeconds, who: self.facts.name, kind: .upload, http: self.http, what: .harm,
                    why: "\(upload.id): \(harm.why)", harm: harm.harm, count: harm.count, id: upload.id))
        }
        self.reply(text, harms.isEmpty ? .ok : .unprocessableEntity, context)
    }

    // MARK: Writing

    private func writeHead(_ status: HTTPResponseStatus, length: Int?, _ context: ChannelHandlerContext) {
        var headers = HTTPHeaders([("x-apiserver", self.facts.name), ("content-type", "application/octet-stream")])
        if let length { headers.add(name: "content-length", value: "\(length)") }
        context.write(
            self.wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
    }

    private func reply(_ text: String, _ status: HTTPResponseStatus, _ context: ChannelHandlerContext) {
        self.reply(ByteBuffer(string: text), status, context)
    }

    private func reply(_ body: ByteBuffer, _ status: HTTPResponseStatus, _ context: ChannelHandlerContext) {
        self.writeHead(status, length: body.readableBytes, context)
        context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// Writes of a list what the other end can take.
    private func writeMore(_ context: ChannelHandlerContext) {
        while var rest = self.rest, context.channel.isWritable {
            guard rest.next <= rest.count else {
                self.rest = nil
                return context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
            }
            self.write(Block(key: rest.key, number: rest.next, length: Self.listBlock), context)
            rest.next += 1
            self.rest = rest
            context.flush()
        }
    }

    private func write(_ block: Block, _ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: Block.headerLength + block.length)
        block.write(to: &buffer)
        context.write(self.wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.writeMore(context)
        context.fireChannelWritabilityChanged()
    }

    /// Writes the events that have happened, and waits for the next. A reader that is too slow gets them later.
    private func watchNext(_ context: ChannelHandlerContext) {
        let latest = self.facts.clock.latest(at: .now())
        // One that was given a number of the future waits for it.
        while self.nextEvent <= latest, context.channel.isWritable {
            self.write(EventClock.block(self.nextEvent), context)
            context.flush()
            self.nextEvent += 1
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let due = max(self.facts.clock.due(self.nextEvent), .now() + .milliseconds(5))
        self.watch = context.eventLoop.scheduleTask(deadline: due) { bound.value.0.watchNext(bound.value.1) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.watch?.cancel()
        self.rest = nil
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.watch?.cancel() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
