import ChaosCore
import NIOCore

/// What one end of a two-way stream tells of it. Called on the channel's event loop.
protocol ExecObserver: AnyObject {
    /// The caller's hello was answered, or has come.
    func execOpened(_ hello: ExecHello)
    /// - Parameter late: seconds since it could have come.
    func execArrived(late: Double)
    func execHarmed(_ harm: Observation.Harm, count: Int, why: String)
    /// Both ends have said how much they sent, and have got as much.
    func execFinished()
    /// It ended otherwise.
    func execBroken(why: String)
}

/// One end of a two-way stream: sends numbered blocks at a pace, and checks those of the other end. `kubectl exec` and `logs`
/// are such streams.
final class ExecHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Role {
        case caller(ExecHello)
        /// The hello has not come yet.
        case expecting(ByteBuffer)
        case callee
    }

    /// The other end has so long for its last word.
    private static let patience = TimeAmount.seconds(5)
    /// A caller has so long for its hello.
    private static let introduction = TimeAmount.seconds(10)
    /// What may wait unsent before the pace pauses.
    private static let smallest = 64

    private var role: Role
    private var observer: (any ExecObserver)?
    private var reader: BlockReader?
    private var sendKey: UInt64 = 0
    private var interval = TimeAmount.seconds(1)
    private var sent: UInt64 = 0
    private var ticking: RepeatedTask?
    private var deadline: Scheduled<Void>?
    private var lastArrival = NIODeadline.now()
    private var hasSentEnd = false
    private var hasOpened = false
    private var isOver = false
    private var context: ChannelHandlerContext?

    init(calling hello: ExecHello, observer: any ExecObserver) {
        self.role = .caller(hello)

        self.observer = observer
    }

    /// The end that is called.
    init(answering observer: any ExecObserver) {
        self.role = .expecting(ByteBuffer())

        self.observer = observer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { self.begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard self.ticking == nil, self.deadline == nil else { return }
        switch self.role {
        case .caller(let hello):
            var buffer = context.channel.allocator.buffer(capacity: 128)
            hello.write(to: &buffer)
            context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
            self.start(sending: hello.keys.caller, expecting: hello.keys.callee, hello.interval, context)
        case .expecting:
            self.setDeadline(Self.introduction, "no hello came", context)
        case .callee: break
        }
    }

    private func start(sending: UInt64, expecting: UInt64, _ interval: TimeAmount, _ context: ChannelHandlerContext) {
        self.sendKey = sending
        self.reader = BlockReader(key: expecting, next: 1)
        self.interval = interval
        self.lastArrival = .now()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        self.ticking = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { _ in
            bound.value.0.tick(bound.value.1)
        }
    }

    private func setDeadline(_ limit: TimeAmount, _ why: String, _ context: ChannelHandlerContext) {
        self.deadline?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        self.deadline = context.eventLoop.scheduleTask(in: limit) { bound.value.0.breakOff(why, bound.value.1) }
    }

    // MARK: Sending

    private func tick(_ context: ChannelHandlerContext) {
        guard !self.hasSentEnd, !self.isOver, context.channel.isWritable else { return }
        self.sent += 1
        self.send(Block(key: self.sendKey, number: self.sent, length: Self.length(of: self.sent)), context)
    }

    /// Between 64 bytes and 4 KiB, most of them small.
    private static func length(of number: UInt64) -> Int { number % 8 == 0 ? 4_096 : Self.smallest + Int(number % 7) * 61 }

    private func send(_ block: Block, _ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: Block.headerLength + block.length)
        block.write(to: &buffer)
        context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
    }

    /// Ends the stream in order.
    func finish() {
        guard !self.isOver, !self.hasSentEnd, let context else { return }
        guard self.reader != nil else { return self.breakOff("ended before it began", context) }
        self.sendEnd(context)
        self.setDeadline(Self.patience, "the other end did not say that it is finished", context)
    }

    private func sendEnd(_ context: ChannelHandlerContext) {
        self.hasSentEnd = true
        self.ticking?.cancel()
        self.send(Block(key: self.sendKey, number: self.sent, length: 0), context)
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        if case .expecting(var before) = self.role {
            before.writeBuffer(&bytes)
            do {
                guard let hello = try ExecHello.read(from: &before) else {
                    self.role = .expecting(before)
                    return
                }
                self.deadline?.cancel()
                self.deadline = nil
                self.role = .callee
                self.hasOpened = true
                self.observer?.execOpened(hello)
                self.start(sending: hello.keys.callee, expecting: hello.keys.caller, hello.interval, context)
                bytes = before
            } catch {
                return self.breakOff(Trouble.text(error), context)
            }
        }
        for finding in self.reader?.read(bytes) ?? [] { self.take(finding, context) }
    }

    private func take(_ finding: BlockReader.Finding, _ context: ChannelHandlerContext) {
        guard !self.isOver else { return }
        switch finding {
        case .block:
            if !self.hasOpened, case .caller(let hello) = self.role {
                self.hasOpened = true
                self.observer?.execOpened(hello)
            }
            let now = NIODeadline.now()
            self.observer?.execArrived(late: max(0, (now - self.lastArrival - self.interval).inSeconds))
            self.lastArrival = now
        case .harm(let harm, let count, let why):
            self.observer?.execHarmed(harm, count: count, why: why)
        case .end(let count):
            let missing = Int64(clamping: count) - Int64(clamping: (self.reader?.next ?? 1) - 1)
            if missing > 0 {
                self.observer?.execHarmed(.lost, count: Int(missing), why: "\(missing) missing at the end, of \(count)")
            }
            if !self.hasSentEnd { self.sendEnd(context) }
            self.over(context) { $0.execFinished() }
        }
        if self.reader?.isBroken == true { self.breakOff("what came made no sense", context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.over(context) { $0.execBroken(why: "closed in the middle") }
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { self.breakOff("closed in the middle", context) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.breakOff(Trouble.text(error), context) }

    private func breakOff(_ why: String, _ context: ChannelHandlerContext) { self.over(context) { $0.execBroken(why: why) } }

    private func over(_ context: ChannelHandlerContext, _ tell: (any ExecObserver) -> Void) {
        guard !self.isOver else { return }
        self.isOver = true
        self.ticking?.cancel()
        self.deadline?.cancel()
        if case .harm(let harm, let count, let why)? = self.reader?.lost {
            self.observer?.execHarmed(harm, count: count, why: why)
        }
        if let observer = self.observer { tell(observer) }
        self.observer = nil
        self.context = nil
        // After what was written last.
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer()), promise: nil)
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.ticking?.cancel()
        self.deadline?.cancel()
        self.context = nil
    }
}
