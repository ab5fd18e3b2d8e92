import NIOCore
import NIOPosix
import Synchronization
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// Joins two streams of two sessions: a relay. Each end is a socket of a connected pair, so that back pressure, half-close and
/// the way from one event loop to another are the kernel's affair.
///
/// Such a socket knows no RST, which here must arrive as one and never as an orderly end: it is said beside the pair, before
/// the end is closed.
package enum StreamPair {
    /// Makes a pair. `near` is called on its environment's event loop, where this must be called too, `far` on its own; in
    /// both cases once, with a refusal when there are no descriptors left.
    package static func make(
        near: TransportEnvironment, far: NIOLoopBound<TransportEnvironment>,
        onNear: @escaping (Result<StreamSocket, Refusal>) -> Void,
        onFar: @escaping @Sendable (Result<StreamSocket, Refusal>) -> Void
    ) {
        var ends: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            let refusal = Refusal(.busy, "this server has no descriptors left to relay with")
            far.eventLoop.execute { onFar(.failure(refusal)) }
            return onNear(.failure(refusal))
        }
        let mark = ResetMark()
        let (nearEnd, farEnd) = (ends[0], ends[1])
        Self.adopt(nearEnd, near, mark, onNear)
        far.eventLoop.execute { Self.adopt(farEnd, far.value, mark, onFar) }
    }

    private static func adopt(
        _ descriptor: CInt, _ environment: TransportEnvironment, _ mark: ResetMark,
        _ completion: @escaping (Result<StreamSocket, Refusal>) -> Void
    ) {
        let allocator = StreamReadAllocator(pool: environment.pool, sizing: environment.sizing)
        ClientBootstrap(group: environment.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try StreamOptions.apply(to: channel, allocator)
                    try channel.pipeline.syncOperations.addHandler(StreamSocket(mark: mark))
                }
            }
            .withConnectedSocket(descriptor)
            .assumeIsolated()
            .whenComplete { result in
                do {
                    completion(.success(try result.get().pipeline.syncOperations.handler(type: StreamSocket.self)))
                } catch {
                    mark.raise()
                    completion(.failure(Refusal(.busy, "this server cannot relay: \(ConnectFailure(error).reason)")))
                }
            }
    }
}

/// Says of a pair of sockets that what ends is no orderly end.
final class ResetMark: Sendable {
    private let isSet = Atomic<Bool>(false)

    var isRaised: Bool { self.isSet.load(ordering: .acquiring) }
    func raise() { self.isSet.store(true, ordering: .releasing) }
}
