import NIOCore
import NIOPosix

/// Accepts local connections for one forward or one mapped port, on the event loop of the sessions they will use.
package struct StreamListener: Sendable {
    private let channel: any Channel

    package var localAddress: SocketAddress? { self.channel.localAddress }

    /// Listens on `address`. `onAccept` gets each connection on `environment.eventLoop`, where this must be called too.
    ///
    /// - Parameter inherited: a socket of an earlier process that listens on this address, perhaps; another is of no use and closed.
    package static func bind(
        _ address: SocketAddress, inherited: CInt? = nil, environment: TransportEnvironment,
        onAccept: @escaping (StreamSocket, _ source: String) -> Void
    ) -> EventLoopFuture<StreamListener> {
        let loop = environment.eventLoop
        let accept = NIOLoopBound(onAccept, eventLoop: loop)
        let allocator = StreamReadAllocator(pool: environment.pool, sizing: environment.sizing)
        let bootstrap = ServerBootstrap(group: loop, childGroup: loop)
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
        guard let inherited else { return bootstrap.bind(to: address).map { StreamListener(channel: $0) } }
        return bootstrap.withBoundSocket(inherited).assumeIsolated().flatMap { channel in
            if channel.localAddress == address { return loop.makeSucceededFuture(StreamListener(channel: channel)) }
            channel.close(promise: nil)
            return bootstrap.bind(to: address).map { StreamListener(channel: $0) }
        }.nonisolated()
    }

    /// Another descriptor of the listening socket, close-on-exec: connections go on queueing there when this one is closed. To be
    /// called on its event loop.
    package func duplicate() -> CInt? { ListeningSocket.duplicate(self.channel) }

    /// Stops listening; accepted connections stay.
    package func close() -> EventLoopFuture<Void> {
        self.channel.close().flatMapErrorThrowing { error in
            if case ChannelError.alreadyClosed = error { return }
            throw error
        }
    }
}

/// Listening sockets between two processes.
package enum ListeningSocket {
    /// Another descriptor of the socket of a channel, close-on-exec; nil when it is closed, or none is left. To be called on the
    /// channel's event loop.
    package static func duplicate(_ channel: any Channel) -> CInt? {
        let copy = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self, { SocketCookie.duplicate($0) })
        return copy ?? nil
    }
}
