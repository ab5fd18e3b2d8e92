import Synchronization
import TunnelTransport

#if canImport(Glibc)
import Glibc
#endif

/// Open sockets of an earlier process, found by their cookies. Whatever nobody takes is reset: an orderly end would be a lie.
package final class SocketPool: Sendable {
    private let sockets: Mutex<[UInt64: CInt]>

    /// - Parameter descriptors: what is no socket is left alone.
    package init(_ descriptors: [CInt]) {
        let known = descriptors.compactMap { descriptor in SocketCookie.of(descriptor).map { ($0, descriptor) } }
        self.sockets = Mutex(Dictionary(known, uniquingKeysWith: { first, _ in first }))
    }

    package var count: Int { self.sockets.withLock { $0.count } }

    /// The socket, which is the caller's own from now on; nil: it is not here.
    package func take(_ cookie: UInt64) -> CInt? { self.sockets.withLock { $0.removeValue(forKey: cookie) } }

    /// A stream's connection: it ends in order again, as connections do.
    package func takeStream(_ cookie: UInt64) -> CInt? {
        guard let descriptor = self.take(cookie) else { return nil }
        ResetOnClose.set(false, descriptor)
        return descriptor
    }

    /// Resets the connections that are left and closes the rest. Gives how many there were.
    @discardableResult
    package func closeRest() -> Int {
        let rest = self.sockets.withLock { sockets in
            defer { sockets = [:] }
            return sockets.values.map { $0 }
        }
        for descriptor in rest {
            ResetOnClose.set(true, descriptor)
            close(descriptor)
        }
        return rest.count
    }
}

/// Whether closing the last descriptor of a connection resets it. On while nobody reads and writes it: a process that dies
/// between two others must not tell the far end that all has been said.
package enum ResetOnClose {
    package static func set(_ isOn: Bool, _ descriptor: CInt) {
        var value = linger(l_onoff: isOn ? 1 : 0, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }
}
