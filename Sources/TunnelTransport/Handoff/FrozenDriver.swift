import NIOCore
import TunnelSession
import TunnelWire

/// A session between two processes, with the local connections of its streams.
package struct FrozenDriver: Sendable {
    package var session: FrozenSession
    /// One for each stream of the session, in the order of their ids.
    package var connections: [FrozenConnection]

    package init(session: FrozenSession, connections: [FrozenConnection]) {
        self.session = session
        self.connections = connections
    }
}

/// What a process knows of a stream besides its session.
package struct FrozenConnection: Sendable {
    /// 0: there is no stream for it yet.
    package var id: StreamID
    package var open: Open
    package var isOpenedHere: Bool
    package var isOpen: Bool
    /// How long it has lived.
    package var age: Duration
    /// Nil: the stream is to be answered, dial for it.
    package var socket: FrozenSocket?
}

extension FrozenDriver {
    /// Leaves out the sockets that cannot be carried, whose descriptors are closed: the next process misses them, and resets
    /// their streams.
    package mutating func drop(where isLost: (FrozenSocket) -> Bool) {
        for index in self.connections.indices {
            guard let socket = self.connections[index].socket, isLost(socket) else { continue }
            self.connections[index].socket?.descriptor = -1
            self.connections[index].socket?.unsent = ByteBuffer()
            self.connections[index].socket?.unread = ByteBuffer()
        }
    }
}
