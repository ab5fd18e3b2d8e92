import NIOCore
import NIOPosix
import TunnelWire

/// Connects to what a stream leads to: a service's target, an exposure's target.
package enum TargetDialer {
    /// Dials `host:port` on the environment's event loop, where this must be called. `completion` is called once.
    package static func dial(
        host: String, port: Int, timeout: Duration, environment: TransportEnvironment,
        completion: @escaping (Result<StreamSocket, Refusal>) -> Void
    ) {
        let allocator = StreamReadAllocator(pool: environment.pool, sizing: environment.sizing)
        let bootstrap = ClientBootstrap(group: environment.eventLoop)
            .connectTimeout(.nanoseconds(timeout.wholeNanoseconds))
            .channelInitializer { channel in
                // A name may lead to several addresses, and several connections are tried then: each has a handler of its own.
                channel.eventLoop.makeCompletedFuture {
                    try StreamOptions.apply(to: channel, allocator)
                    // Before the connection is made, so that the window it announces fits.
                    try channel.syncOptions?.setOption(.socketOption(.so_rcvbuf), value: StreamOptions.receiveBuffer)
                    try channel.pipeline.syncOperations.addHandler(StreamSocket())
                }
            }
        let connected: EventLoopFuture<any Channel> =
            if let address = try? SocketAddress(ipAddress: host, port: port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: host, port: port)
            }
        connected.assumeIsolated().whenComplete { result in
            do {
                completion(.success(try result.get().pipeline.syncOperations.handler(type: StreamSocket.self)))
            } catch {
                let failure = ConnectFailure(error)
                completion(.failure(Refusal(failure.code, "\(host):\(port): \(failure.reason)")))
            }
        }
    }
}
