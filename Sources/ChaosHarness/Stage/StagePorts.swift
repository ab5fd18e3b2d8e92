import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Ports of this machine that nothing listens on, below those that the kernel gives to outgoing connections.
package enum StagePorts {
    private static let range: Range<UInt16> = 21_000..<32_000
    private static let next = Mutex<UInt16>(.random(in: range))

    /// One of them; the same again only when all have had their turn.
    package static func free() throws -> Int {
        for _ in self.range {
            let port = self.next.withLock { next in
                next = next + 1 < self.range.upperBound ? next + 1 : self.range.lowerBound
                return next
            }
            if self.isFree(port) { return Int(port) }
        }
        throw StageError("no free port in \(self.range)")
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { _ = close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        // Every address: a listener on any of them is in the way.
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
