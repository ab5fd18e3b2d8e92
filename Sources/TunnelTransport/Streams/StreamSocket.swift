import NIOCore
import NIOPosix
import TunnelSession
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// Where a stream's socket reports to.
protocol StreamSocketOwner: AnyObject {
    func socket(_ id: StreamID, read bytes: consuming ByteBuffer)
    func socketFinished(_ id: StreamID)
    func socket(_ id: StreamID, consumed bytes: Int)
    /// The connection is gone. `isClean`: it sent its end and was given all that was meant for it.
    func socketClosed(_ id: StreamID, isClean: Bool)
}

/// The local connection of one stream: the only handler of its channel.
///
/// It reads only when told to, passes on what arrives, and reports how much of what it was given the kernel has
/// taken. Bound to the session's event loop.
package final class StreamSocket: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private var owner: (any StreamSocketOwner)?
    private var id: StreamID = 0
    private var context: ChannelHandlerContext?
    private var arrived: ByteBuffer?
    /// Small pieces that wait behind the backlog, joined: each alone would pin the whole buffer it came in.
    private var waiting: ByteBuffer?
    /// Bytes written to the channel whose way into the kernel has not been reported yet.
    private var unreported = 0
    /// What was written to the channel and is not known to be in the kernel: what a handoff has to take along.
    private var unsent = UnsentBytes()
    /// While the kernel does not take everything at once, each write carries a promise.
    private var isBacklogged = false
    private var finishWhenDrained = false
    private var isOutputClosed = false
    private var sawEnd = false
    private var hasFailed = false
    /// It was taken over from another process: what happened there to its channel, NIO does not know.
    private let isThawed: Bool
    /// What that process had not got into the kernel yet.
    private var inherited: ByteBuffer?
    var isDirty = false

    /// Bytes from and to the local program, for status.
    private(set) var bytesRead: UInt64 = 0
    private(set) var bytesWritten: UInt64 = 0

    private var onActive: ((StreamSocket) -> Void)?
    /// Called when the connection ends before it was attached to a stream.
    package var onEarlyEnd: (() -> Void)?
    /// Called with how many bytes came before that.
    var onEarlyBytes: ((Int) -> Void)?

    /// For one end of a `StreamPair`: how the two ends tell each other of a reset.
    private let mark: ResetMark?

    /// - Parameter onActive: called once when the connection stands.
    package convenience init(onActive: ((StreamSocket) -> Void)? = nil) { self.init(mark: nil, onActive: onActive) }

    init(mark: ResetMark?, onActive: ((StreamSocket) -> Void)? = nil) {
        self.mark = mark
        self.onActive = onActive
        self.isThawed = false
    }

    /// The connection as another process left it.
    init(thawing frozen: FrozenSocket, mark: ResetMark?) {
        self.mark = mark
        self.isThawed = true
        self.inherited = frozen.unsent.readableBytes > 0 ? frozen.unsent : nil
        self.arrived = frozen.unread.readableBytes > 0 ? frozen.unread : nil
        self.sawEnd = frozen.sawEnd
        self.isOutputClosed = frozen.isOutputClosed
        self.finishWhenDrained = frozen.finishWhenDrained
        self.bytesRead = frozen.bytesRead
        self.bytesWritten = frozen.bytesWritten
    }

    /// Hands the connection over: a second descriptor of it stays open when this channel is closed, and nothing is said to
    /// either end. Nil when there is nothing to hand over any more; then the connection has been reset.
    package func freeze() -> FrozenSocket? {
        guard let context = self.context, !self.hasFailed, context.channel.isActive,
            let buffered = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes),
            let descriptor = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self, { SocketCookie.duplicate($0) }) ?? nil
        else {
            self.abort()
            return nil
        }
        var unsent = self.inherited.take() ?? self.unsent.last(buffered)
        if var waiting = self.waiting.take() { unsent.writeBuffer(&waiting) }
        let untold = self.unreported - min(self.unreported, unsent.readableBytes)
        let frozen = FrozenSocket(
            descriptor: descriptor, cookie: SocketCookie.of(descriptor) ?? 0, unsent: unsent,
            unread: self.arrived ?? ByteBuffer(),
            untold: untold, sawEnd: self.sawEnd, isOutputClosed: self.isOutputClosed, finishWhenDrained: self.finishWhenDrained,
            bytesRead: self.bytesRead, bytesWritten: self.bytesWritten,
            pair: self.mark.map { UInt64(UInt(bitPattern: ObjectIdentifier($0))) } ?? 0,
            isPairReset: self.mark?.isRaised ?? false, mark: self.mark)
        self.owner = nil
        self.onEarlyEnd = nil
        self.onEarlyBytes = nil
        self.context = nil
        context.close(promise: nil)
        return frozen
    }

    /// Connects the socket to its stream. What happened to the connection before is reported now.
    func attach(to owner: any StreamSocketOwner, as id: StreamID) {
        self.owner = owner
        self.id = id
        self.onEarlyEnd = nil
        guard self.context != nil else { return owner.socketClosed(id, isClean: false) }
        self.passOn()
        if self.isThawed { self.takeUp() } else if self.sawEnd { owner.socketFinished(id) }
    }

    /// Goes on where the other process stopped. That the input has ended, the session knows already.
    private func takeUp() {
        guard let context = self.context else { return }
        if let bytes = self.inherited.take() {
            self.unreported += bytes.readableBytes
            self.isBacklogged = true
            self.unsent.append(bytes)
            context.writeAndFlush(self.wrapOutboundOut(bytes), promise: self.reportingPromise(bytes.readableBytes, context))
        } else if self.isOutputClosed {
            context.close(mode: .output, promise: nil)
        } else {
            self.finishIfDrained()
        }
    }

    /// RST to the local program: there will be no stream for it.
    package func abandon() { self.abort() }

    /// Whether the connection still stands.
    var isConnected: Bool { self.context != nil }

    // MARK: Orders from the session

    func readMore() { self.context?.read() }

    /// Writes without flushing.
    func deliver(_ bytes: ByteBuffer) {
        guard let context = self.context, !self.isOutputClosed else { return }
        let count = bytes.readableBytes
        self.bytesWritten += UInt64(count)
        self.unreported += count
        guard self.isBacklogged else {
            self.unsent.append(bytes)
            context.write(self.wrapOutboundOut(bytes), promise: nil)
            return
        }
        // As a rule a piece that is less than a quarter of its storage is copied.
        if count * 4 >= bytes.storageCapacity || count >= Self.waitingLimit {
            self.writeWaiting(context)
            self.unsent.append(bytes)
            context.write(self.wrapOutboundOut(bytes), promise: self.reportingPromise(count, context))
        } else {
            self.waiting = self.waiting ?? context.channel.allocator.buffer(capacity: Self.waitingLimit / 4)
            self.waiting?.writeImmutableBuffer(bytes)
            if self.waiting?.readableBytes ?? 0 >= Self.waitingLimit { self.writeWaiting(context) }
        }
    }

    private static let waitingLimit = 16_384

    /// How many writes to the channel have not been reported as taken yet.
    private(set) var pendingWrites = 0

    private func writeWaiting(_ context: ChannelHandlerContext) {
        guard let bytes = self.waiting.take() else { return }
        self.unsent.append(bytes)
        context.write(self.wrapOutboundOut(bytes), promise: self.reportingPromise(bytes.readableBytes, context))
    }

    /// Pushes what was delivered into the kernel and reports what it took.
    func flush() {
        self.isDirty = false
        guard let context = self.context else { return }
        context.flush()
        guard !self.isBacklogged, self.unreported > 0, self.context != nil else { return }
        let buffered = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        let taken = self.unreported - min(buffered, self.unreported)
        self.unreported -= taken
        self.unsent.drop(taken)
        if self.unreported > 0 {
            // The rest is reported when an empty write behind it completes.
            self.isBacklogged = true
            let promise = self.reportingPromise(self.unreported, context)
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer()), promise: promise)
        }
        if taken > 0 { self.owner?.socket(self.id, consumed: taken) }
        self.finishIfDrained()
    }

    /// The peer sends no more: FIN to the local program once it has everything.
    func finishOutput() {
        guard self.unreported == 0 else {
            self.finishWhenDrained = true
            return
        }
        self.isOutputClosed = true
        // Closing the output of a channel whose input has ended closes all of it, pending writes included, which is why
        // this waits until there are none.
        self.context?.close(mode: .output, promise: nil)
        // A channel that was made from a descriptor does not know that its input had ended before.
        if self.isThawed, self.sawEnd { self.context?.close(promise: nil) }
    }

    /// RST to the local program.
    func abort() {
        self.owner = nil
        self.onEarlyEnd = nil
        self.waiting = nil
        guard let context = self.context else { return }
        self.context = nil
        self.mark?.raise()
        if let options = context.channel as? any SocketOptionProvider {
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }

    /// The peer sends no more, but what it sent last is not flushed yet: closes the output at the next flush.
    func finishOutputAfterFlush() {
        guard self.isDirty else { return self.finishOutput() }
        self.finishWhenDrained = true
    }

    private func reportingPromise(_ count: Int, _ context: ChannelHandlerContext) -> EventLoopPromise<Void> {
        self.pendingWrites += 1
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess { self.reported(count) }
        return promise
    }

    private func reported(_ count: Int) {
        self.unreported -= count
        self.unsent.drop(count)
        self.pendingWrites -= 1
        if self.unreported == 0 { self.isBacklogged = false }
        if self.waiting != nil, let context = self.context {
            self.writeWaiting(context)
            context.flush()
        }
        self.owner?.socket(self.id, consumed: count)
        self.finishIfDrained()
    }

    private func finishIfDrained() {
        guard self.unreported == 0, self.finishWhenDrained else { return }
        self.finishWhenDrained = false
        self.finishOutput()
    }

    // MARK: What the connection does

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    package func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    package func channelActive(context: ChannelHandlerContext) {
        self.onActive.take()?(self)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.bytesRead += UInt64(bytes.readableBytes)
        if self.owner == nil { self.onEarlyBytes?(bytes.readableBytes) }
        if self.arrived == nil {
            self.arrived = bytes
        } else {
            self.arrived?.writeBuffer(&bytes)
        }
    }

    /// NIO holds a reference to the buffer until now; passed on earlier, the header could not be written in place.
    package func channelReadComplete(context: ChannelHandlerContext) { self.passOn() }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed = event as? ChannelEvent { self.inputEnded() }
    }

    /// The local program sends no more. Where the output was closed before, NIO does not say so but closes the channel.
    private func inputEnded() {
        guard !self.sawEnd else { return }
        if let mark = self.mark, mark.isRaised {
            self.hasFailed = true
            self.context?.close(promise: nil)
            return
        }
        self.passOn()
        self.sawEnd = true
        self.owner?.socketFinished(self.id)
        if self.isThawed, self.isOutputClosed { self.context?.close(promise: nil) }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Whatever it is, it ends in channelInactive; there it counts as a reset unless both directions were finished.
        self.hasFailed = true
        self.mark?.raise()
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        self.waiting = nil
        if self.isOutputClosed, !self.hasFailed { self.inputEnded() }
        let owner = self.owner
        self.owner = nil
        owner?.socketClosed(self.id, isClean: self.sawEnd && self.isOutputClosed)
        self.onEarlyEnd.take()?()
    }

    private func passOn() {
        guard self.owner != nil, let bytes = self.arrived.take() else { return }
        self.owner?.socket(self.id, read: bytes)
    }
}

extension Optional {
    /// The value, leaving nil, so that there is never a second owner.
    mutating func take() -> Wrapped? {
        let value = consume self
        self = nil
        return value
    }
}
