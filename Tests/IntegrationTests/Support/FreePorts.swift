import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Ports of 127.0.0.1 that nothing listens on.
///
/// They lie below the range that the kernel takes ephemeral ports from (32768 and up), so that an outgoing connection cannot
/// take one between its choice and its use. A process never gives out the same one twice.
enum FreePorts {
    private static let range: Range<UInt16> = 20_000..<32_000
    private static let next = Mutex<UInt16>(.random(in: range))

    static func one() throws -> Int {
        for _ in range {
            let port = next.withLock { next in
                next = next + 1 < range.upperBound ? next + 1 : range.lowerBound
                return next
            }
            if isFree(port) { return Int(port) }
        }
        throw Unmet("expected a free port in \(range)")
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
