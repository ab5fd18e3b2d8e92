import NIOCore
import NIOSSL
import Timing
import TunnelSession
import TunnelWire

/// Where an authenticated link hands its bytes.
protocol LinkOwner: AnyObject {
    func link(_ link: LinkHandler, received bytes: ByteBuffer)
    /// A batch of bytes is over; answers may go out together.
    func linkReadCompleted(_ link: LinkHandler)
    func linkBecameWritable(_ link: LinkHandler)
    func linkClosed(_ link: LinkHandler, cause: LinkLoss)
}

/// How a link ended.
package enum LinkLoss: Equatable, Sendable, CustomStringConvertible {
    /// The peer said why.
    case closedByPeer(Close)
    /// The connection was reset, or ended without a word.
    case broken(String)
    /// Nothing was heard for the heartbeat timeout.
    case silent
    /// This side closed it.
    case closedHere

    package var description: String {
        switch self {
        case .closedByPeer(let close): "closed by the other end: \(close.reason)"
        case .broken(let reason): "broken: \(reason)"
        case .silent: "nothing was heard for the heartbeat timeout"
        case .closedHere: "closed here"
        }
    }
}

/// The last handler of an authenticated link: bytes in, frames out. Bound to the session's event loop.
final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private weak var owner: (any LinkOwner)?
    private var context: ChannelHandlerContext?
    private var joined: ByteBuffer
    private var isJoinedWritten = false
    private var lossCause: LinkLoss?
    private var unsent = UnsentBound()

    /// Frames up to this size travel together: a TLS record of its own costs more than the copy.
    private static let joinedFrame = 2_048
    private static let joinedTotal = 16_384

    init(allocator: ByteBufferAllocator) {
        self.joined = allocator.buffer(capacity: Self.joinedTotal)
    }

    /// Bytes go to `owner` from now on.
    func setOwner(_ owner: any LinkOwner) { self.owner = owner }

    var isWritable: Bool { self.context?.channel.isWritable ?? false }

    var remoteAddress: SocketAddress? { self.context?.remoteAddress }

    /// Sets an option of the connection, if it is still there.
    func setOption(_ option: ChannelOptions.Types.SocketOption, _ value: Int) {
        try? self.context?.channel.syncOptions?.setOption(option, value: value)
    }

    /// Writes a frame without flushing.
    func write(_ frame: ByteBuffer) {
        guard frame.readableBytes <= Self.joinedFrame else {
            self.writeJoined()
            self.context?.write(self.wrapOutboundOut(frame), promise: nil)
            return
        }
        if self.joined.readableBytes + frame.readableBytes > Self.joinedTotal { self.writeJoined() }
        if self.isJoinedWritten {
            // After a flush nobody else holds it any more, so that this allocates nothing.
            self.joined.clear()
            self.isJoinedWritten = false
        }
        self.joined.writeImmutableBuffer(frame)
    }

    /// Pushes out what was written. `bytes` of it were frames, for the measurement of the link's rate.
    func flush(bytes: Int = 0, now: Moment? = nil) {
        self.writeJoined()
        self.context?.flush()
        guard let now, let bound = self.unsent.wrote(bytes, isFull: !self.isWritable, now: now) else { return }
        try? self.context?.channel.syncOptions?.setOption(LinkOptions.notSentLowWaterOption, value: bound)
    }

    private func writeJoined() {
        guard self.joined.readableBytes > 0, !self.isJoinedWritten else { return }
        self.context?.write(self.wrapOutboundOut(self.joined), promise: nil)
        self.isJoinedWritten = true
    }

    /// Closes the link, saying why where there is something to say. `linkClosed` follows, with `cause`.
    func close(_ farewell: Close?, cause: LinkLoss = .closedHere) {
        guard let context = self.context else { return }
        if self.lossCause == nil { self.lossCause = cause }
        if let farewell {
            self.write(farewell.frame())
            self.flush()
        }
        context.close(promise: nil)
    }

    /// Closes the link without a word and without waiting for TLS to say good-bye: what it carried goes over another.
    func abandon() {
        self.owner = nil
        guard let context = self.context else { return }
        if let tls = try? context.pipeline.syncOperations.context(handlerType: NIOSSLHandler.self) {
            tls.close(promise: nil)
        } else {
            context.close(promise: nil)
        }
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.owner?.link(self, received: self.unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) { self.owner?.linkReadCompleted(self) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.owner?.linkBecameWritable(self) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.lossCause == nil { self.lossCause = .broken(LinkError.text(error)) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        let owner = self.owner
        self.owner = nil
        owner?.linkClosed(self, cause: self.lossCause ?? .broken("the connection was closed"))
    }
}
