import Identity
import NIOCore

/// How one end saw a pattern stream end.
enum PatternEnding: Equatable {
    /// Both ends announced their end, and every byte came.
    case finished
    case reset(String)
    /// A FIN that was not announced.
    case eof
    case corrupt(PatternFault, PatternHarm)
}

/// Whom a ``PatternHandler`` tells what happens on its stream.
protocol PatternObserver: AnyObject {
    /// The other end introduced itself: a backend with its name, a generator with its stream's number.
    func patternOpened(by other: String)
    /// Something arrived; all of it was right.
    func patternArrived()
    /// Told once, last.
    func patternEnded(_ ending: PatternEnding)
}

/// One end of a pattern stream.
///
/// Both ends introduce themselves by a line at once: `stream HEX` the one that dialled, `pattern NAME` the other. The first may
/// ask the other for its pace, `stream HEX CHUNK MICROSECONDS`. Once the other's line is read, each sends its direction of the pattern without end, and verifies the other's. To finish, an end
/// sends its trailer and FIN; the other answers with its own. Bound to the channel's event loop.
final class PatternHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Role {
        /// - Parameter asks: the pace at which the other end is to send; nil: as it likes.
        case dialer(stream: UInt64, asks: PatternPace? = nil)
        case acceptor(name: String)
    }

    /// The longest line that introduces an end.
    private static let lineLimit = 256
    /// How long bytes are looked at that follow a wrong one.
    private static let examinationTime = TimeAmount.milliseconds(500)

    private let role: Role
    private var pace: PatternPace
    /// Dropped with the end: until then handler and observer keep each other.
    private var observer: (any PatternObserver)?
    private var context: ChannelHandlerContext?
    private var line: [UInt8] = []
    private var reader: PatternReader?
    private var writer: PatternWriter?
    private var pump: RepeatedTask?
    private var examination: PatternExamination?
    private var isInputClosed = false
    private var isOutputClosed = false
    private var isFinishing = false
    private var hasEnded = false

    init(role: Role, pace: PatternPace, observer: any PatternObserver) {
        self.role = role
        self.pace = pace
        self.observer = observer
    }

    /// Bytes of pattern handed to the socket.
    var bytesSent: UInt64 { writer?.count ?? 0 }
    /// Bytes of pattern that arrived and were right.
    var bytesVerified: UInt64 { reader?.count ?? 0 }

    /// Announces the end, sends FIN and waits for the other end to do the same.
    func finish() {
        guard let context, let writer, !isFinishing, !hasEnded, examination == nil else { return }
        isFinishing = true
        pump?.cancel()
        var buffer = context.channel.allocator.buffer(capacity: 16)
        writer.trailer(into: &buffer)
        // NIO discards what is not written yet when the output of a channel without input is closed.
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenSuccess { self.finishOutput() }
    }

    /// Ends the stream without telling the observer.
    func abandon() {
        hasEnded = true
        observer = nil
        pump?.cancel()
        context?.channel.reset()
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { introduce(context) } }

    func channelActive(context: ChannelHandlerContext) {
        introduce(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasEnded else { return }
        var bytes = unwrapInboundIn(data)
        if examination != nil { return examine(bytes) }
        if reader == nil { readLine(&bytes) }
        guard bytes.readableBytes > 0, !hasEnded, let before = reader else { return }
        let whole = bytes
        do throws(PatternFault) {
            try reader?.read(&bytes)
            observer?.patternArrived()
        } catch {
            begin(PatternExamination(of: error, in: whole, by: before), context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        isInputClosed = true
        if examination != nil { return concludeExamination() }
        if reader?.hasEnded == true { finish() } else { end(.eof) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        concludeExamination()
        end(.reset(TrafficFailure.text(error)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        concludeExamination()
        // Once its own FIN is out, NIO tells of the other's FIN by this alone.
        if isOutputClosed { end(reader?.hasEnded == true ? .finished : .eof) } else { end(.reset("connection reset")) }
        self.context = nil
        context.fireChannelInactive()
    }

    // MARK: Wrong bytes

    private func begin(_ examination: PatternExamination, _ context: ChannelHandlerContext) {
        pump?.cancel()
        self.examination = examination
        guard !examination.isComplete else { return concludeExamination() }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.examinationTime) { handler.value.concludeExamination() }
    }

    private func examine(_ bytes: ByteBuffer) {
        examination?.add(bytes)
        if examination?.isComplete == true { concludeExamination() }
    }

    private func concludeExamination() {
        if let examination { end(.corrupt(examination.fault, examination.harm)) }
    }

    // MARK: Steps

    private func introduce(_ context: ChannelHandlerContext) {
        guard self.context == nil else { return }
        // Given up while it was being connected.
        guard !hasEnded else { return context.channel.reset() }
        self.context = context
        let line =
            switch role {
            case .dialer(let stream, let asks):
                "stream \(String(stream, radix: 16))\(asks.map { " \($0.words)" } ?? "")\n"
            case .acceptor(let name): "pattern \(name)\n"
            }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(string: line)), promise: nil)
    }

    /// Takes the other's line, and starts the pattern when it is complete.
    private func readLine(_ bytes: inout ByteBuffer) {
        while let byte = bytes.readInteger(as: UInt8.self) {
            if byte == UInt8(ascii: "\n") { return open(String(decoding: line, as: UTF8.self)) }
            line.append(byte)
            guard line.count < Self.lineLimit else { break }
        }
        if line.count >= Self.lineLimit { end(.reset("the other end is no pattern server: its first line is too long")) }
    }

    private func open(_ text: String) {
        let words = text.split(separator: " ", maxSplits: 1)
        let found = words.count == 2 ? String(words[1]) : ""
        let unknown = PatternEnding.reset(
            "the other end does not speak this protocol: \(PrintableText.sanitize(text, limit: 80))")
        switch role {
        case .dialer(let stream, _):
            guard words.first == "pattern", !found.isEmpty else { return end(unknown) }
            start(stream, sending: .up, reading: .down)
            observer?.patternOpened(by: PrintableText.sanitize(found))
        case .acceptor:
            let parts = found.split(separator: " ")
            guard words.first == "stream", let stream = parts.first.flatMap({ UInt64($0, radix: 16) }) else {
                return end(unknown)
            }
            if parts.count > 1 {
                guard let pace = PatternPace(words: parts.dropFirst()) else { return end(unknown) }
                self.pace = pace
            }
            start(stream, sending: .down, reading: .up)
            observer?.patternOpened(by: PrintableText.sanitize(found))
        }
    }

    private func start(_ stream: UInt64, sending: PatternWords.Direction, reading: PatternWords.Direction) {
        guard let context else { return }
        reader = PatternReader(PatternWords(stream: stream, direction: reading))
        writer = PatternWriter(PatternWords(stream: stream, direction: sending))
        // Streams that open together shall not all write together.
        let phase = Int64(PatternWords(stream: stream, direction: sending).word(.max) % UInt64(max(pace.interval.nanoseconds, 1)))
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        pump = context.eventLoop.scheduleRepeatedTask(initialDelay: .nanoseconds(phase), delay: pace.interval) { _ in
            handler.value.send()
        }
    }

    private func send() {
        // What the other end does not take is not sent later either: nothing piles up.
        guard let context, context.channel.isWritable, !isFinishing else { return }
        var buffer = context.channel.allocator.buffer(capacity: pace.chunk)
        writer?.next(pace.chunk, into: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    private func finishOutput() {
        guard let context, !hasEnded else { return }
        guard !isInputClosed else { return end(.finished) }
        isOutputClosed = true
        context.close(mode: .output, promise: nil)
    }

    private func end(_ ending: PatternEnding) {
        guard !hasEnded else { return }
        hasEnded = true
        pump?.cancel()
        if case .corrupt = ending { context?.channel.reset() } else { context?.close(promise: nil) }
        let observer = self.observer
        self.observer = nil
        observer?.patternEnded(ending)
    }
}
