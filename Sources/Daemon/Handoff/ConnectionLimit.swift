import Logging
import TunnelTransport

#if canImport(Glibc)
import Glibc
#endif

/// Frozen connections of which not all may be carried.
package protocol LimitedConnections {
    var all: [FrozenConnection] { get }
    mutating func drop(where isLost: (FrozenSocket) -> Bool)
}

extension LimitedConnections {
    /// The descriptors of what is carried.
    package var connections: [CInt] { self.all.compactMap { $0.socket?.descriptor }.filter { $0 >= 0 } }
}

/// Keeps a handoff within what its carrier takes.
package enum ConnectionLimit {
    /// Resets what is more than `limit` connections: first those that are no streams yet, then the youngest streams, and with one
    /// end of a relay the other.
    ///
    /// - Parameter limit: nil: there is none.
    /// - Returns: how many were reset.
    package static func apply(_ limit: Int?, to frozen: inout some LimitedConnections) -> Int {
        guard let limit else { return 0 }
        let all = frozen.all.filter { $0.socket != nil }
        guard all.count > limit else { return 0 }
        let ranked = all.sorted { ($0.id == 0 ? 0 : 1, $0.age) > ($1.id == 0 ? 0 : 1, $1.age) }
        let broken = Set(ranked.dropFirst(limit).compactMap { $0.socket?.pair }).subtracting([0])
        let kept = Set(ranked.prefix(limit).compactMap(\.socket).filter { !broken.contains($0.pair) }.map(\.cookie))
        for socket in all.compactMap(\.socket) where !kept.contains(socket.cookie) {
            ResetOnClose.set(true, socket.descriptor)
            close(socket.descriptor)
        }
        frozen.drop { !kept.contains($0.cookie) }
        return all.count - kept.count
    }

    /// Says so, if some were reset.
    package static func complain(lost: Int, kept: Int, _ logger: Logger) {
        guard lost > 0 else { return }
        logger.error(
            "more connections than the service manager keeps; the rest is reset",
            metadata: .event(.handoffFailed).merging(["kept": "\(kept)", "reset": "\(lost)"]) { $1 })
    }
}
