import NIOCore
import TunnelWire

extension FrozenConnection {
    /// A connection that was no stream yet, as one that has just been accepted. `completion` is called on the event loop, where
    /// this must be called too; nil: it is gone.
    package func thaw(
        _ descriptor: CInt, _ environment: TransportEnvironment, completion: @escaping (StreamSocket?) -> Void
    ) {
        guard let socket else { return completion(nil) }
        StreamSocket.thaw(socket, descriptor, nil, environment, completion: completion)
    }
}
