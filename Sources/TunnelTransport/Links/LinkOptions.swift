import NIOCore
import NIOPosix

/// Socket options of every link.
enum LinkOptions {
    /// TCP_NOTSENT_LOWAT of <linux/tcp.h>.
    static let notSentLowWaterOption = ChannelOptions.Types.SocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: 25))
    /// TCP_USER_TIMEOUT of <linux/tcp.h>, in milliseconds.
    static let userTimeoutOption = ChannelOptions.Types.SocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: 18))
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 32 << 10, high: 64 << 10)
    /// Reads per event: each is up to 64 KiB, and answers go out after each.
    static let messagesPerRead: UInt = 1
    static let readAllocator = AdaptiveRecvByteBufferAllocator(minimum: 2_048, initial: 16_384, maximum: 65_536)
}

extension ClientBootstrap {
    func linkOptions() -> ClientBootstrap {
        self.channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(LinkOptions.notSentLowWaterOption, value: UnsentBound.range.upperBound)
            .channelOption(.writeBufferWaterMark, value: LinkOptions.waterMark)
            .channelOption(.maxMessagesPerRead, value: LinkOptions.messagesPerRead)
            .channelOption(.recvAllocator, value: LinkOptions.readAllocator)
    }
}

extension ServerBootstrap {
    func linkChildOptions() -> ServerBootstrap {
        self.childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(LinkOptions.notSentLowWaterOption, value: UnsentBound.range.upperBound)
            .childChannelOption(.writeBufferWaterMark, value: LinkOptions.waterMark)
            .childChannelOption(.maxMessagesPerRead, value: LinkOptions.messagesPerRead)
            .childChannelOption(.recvAllocator, value: LinkOptions.readAllocator)
    }
}
