import ChaosCore
import NIOCore
import NIOHTTP1

/// A watch that is made again, from its last event on, whenever it breaks. On one event loop.
final class WatchStream {
    private let http: String
    private let clock: EventClock
    private let open: (WatchHandler, @escaping (any Error) -> Void) -> Void
    private let log: LoadLog
    private let loop: any EventLoop
    /// The last event that came.
    private var last: UInt64
    private var backoff = Backoff()
    private var present: WatchHandler?
    private var began = NIODeadline.now()
    private var opened: NIODeadline?
    private var isStopped = false

    /// - Parameter open: puts a handler on a stream or connection of its own, or says why it cannot.
    init(
        http: String, clock: EventClock, log: LoadLog, loop: any EventLoop,
        open: @escaping (WatchHandler, @escaping (any Error) -> Void) -> Void
    ) {
        self.http = http
        self.clock = clock
        self.log = log
        self.loop = loop
        self.open = open
        self.last = clock.latest(at: .now())
    }

    func start() {
        guard !self.isStopped else { return }
        self.began = .now()
        self.opened = nil
        let handler = WatchHandler(self, from: self.last)
        self.present = handler
        self.open(handler) { error in self.broken(handler, Trouble.text(error)) }
    }

    /// Ends it in order.
    func stop() {
        guard !self.isStopped else { return }
        self.isStopped = true
        if let opened { self.log.note(.watch, self.http, .done, t: opened, took: .now() - opened) }
        // Forgotten first: what its close leads to is no event any more.
        let handler = self.present
        self.present = nil
        handler?.close()
    }

    fileprivate func begins(_ handler: WatchHandler) {
        guard handler === self.present, self.opened == nil else { return }
        self.opened = .now()
        self.log.note(.watch, self.http, .opened, t: self.began, took: .now() - self.began)
        self.log.running(self)
    }

    fileprivate func take(_ findings: [BlockReader.Finding], _ handler: WatchHandler) {
        guard handler === self.present else { return }
        for finding in findings {
            switch finding {
            case .block(let number, _, let isNew):
                self.backoff.reset()
                self.last = max(self.last, number)
                if isNew { self.log.flow(.watch, self.http, late: .now() - self.clock.due(number)) }
            case .harm(let harm, let count, let why):
                self.log.harm(.watch, self.http, FoundHarm(harm: harm, count: count, why: why))
            case .end: self.log.harm(.watch, self.http, FoundHarm(harm: .corrupt, count: 1, why: "a watch that says it ends"))
            }
        }
    }

    fileprivate func broken(_ handler: WatchHandler, _ why: String) {
        guard handler === self.present else { return }
        self.present = nil
        if let lost = handler.lost { self.take([lost], handler) }
        if let opened {
            self.log.note(.watch, self.http, .ended, t: .now(), took: .now() - opened, why: why)
        } else {
            self.log.note(.watch, self.http, .failed, t: self.began, took: .now() - self.began, why: why)
        }
        let bound = NIOLoopBound(self, eventLoop: self.loop)
        self.loop.scheduleTask(in: self.backoff.next()) { bound.value.start() }
    }
}

/// One try of a watch.
final class WatchHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let watch: WatchStream
    private let from: UInt64
    private var reader: BlockReader
    private var context: ChannelHandlerContext?
    private var status = 0

    fileprivate init(_ watch: WatchStream, from: UInt64) {
        self.watch = watch
        self.from = from
        self.reader = BlockReader(key: EventClock.key, next: from + 1)
    }

    fileprivate var lost: BlockReader.Finding? { self.reader.lost }

    fileprivate func close() { self.context?.close(promise: nil) }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { self.ask(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.ask(context)
        context.fireChannelActive()
    }

    private func ask(_ context: ChannelHandlerContext) {
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: ApiPath.watch(from: self.from).uri,
            headers: HTTPHeaders([("host", "apiserver")]))
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.status = Int(head.status.code)
            if self.status == 200 { self.watch.begins(self) } else { self.end("answered with status \(self.status)", context) }
        case .body(let bytes) where self.status == 200:
            self.watch.take(self.reader.read(bytes), self)
            if self.reader.isBroken { self.end("what came made no sense", context) }
        case .body: break
        case .end: self.end("the apiserver ended it", context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end("closed in the middle", context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.end(Trouble.text(error), context) }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.end("closed in the middle", context)
        self.context = nil
    }

    private func end(_ why: String, _ context: ChannelHandlerContext) {
        self.watch.broken(self, why)
        context.close(promise: nil)
    }
}
