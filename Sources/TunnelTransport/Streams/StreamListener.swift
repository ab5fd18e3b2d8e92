import NIOCore
import NIOPosix

/// Accepts local connections for one forward or one mapped port, on the event loop of the sessions they will use.
package struct StreamListener: Sendable {
    private let channel: any Channel

    package var localAddress: SocketAddress? { self.channel.localAddress }

    /// Listens on `address`. `onAccept` gets each connection on `environment.eventLoop`, where this must be called too.
    package static func bind(
        _ address: SocketAddress, environment: TransportEnvironment,
        onAccept: @escaping (StreamSocket, _ source: String) -> Void
    ) -> EventLoopFuture<StreamListener> {
        let loop = environment.eventLoop
        let accept = NIOLoopBound(onAccept, eventLoop: loop)
        let allocator = StreamReadAllocator(pool: environment.pool, sizing: environment.sizing)
        return ServerBootstrap(group: loop, childGroup: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.socketOption(.so_rcvbuf), value: StreamOptions.receiveBuffer)
            .serverChannelOption(.backlog, value: 1_024)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try StreamOptions.apply(to: channel, allocator)
                    let source = channel.remoteAddress?.shortText ?? "unknown"
                    let socket = StreamSocket { accept.value($0, source) }
                    try channel.pipeline.syncOperations.addHandler(socket)
                }
            }
            .bind(to: address)
            .map { StreamListener(channel: $0) }
    }

    /// Stops listening; accepted connections stay.
    package func close() -> EventLoopFuture<Void> {
        self.channel.close().flatMapErrorThrowing { error in
            if case ChannelError.alreadyClosed = error { return }
            throw error
        }
    }
}
