import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// What lies in the kernel between the sockets of this process. Under load loopback delivers with a delay.
enum OpenerQuiet {
    /// Whether everything that was written on a connection with one of `ports` at either end has reached the other end's
    /// kernel, and has been read there unless it lies at one of `holding`.
    static func isReached(ports: Set<Int>, holding: Set<Int>) -> Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { CInt($0) }.allSatisfy { fd in
            guard let local = Self.port(fd, getsockname), let remote = Self.port(fd, getpeername) else { return true }
            guard ports.contains(local) || ports.contains(remote) else { return true }
            guard Self.count(fd, UInt(TIOCOUTQ)) == 0 else { return false }
            return holding.contains(local) || Self.count(fd, UInt(FIONREAD)) == 0
        }
    }

    /// Bytes in one of the socket's queues; none for one that is being closed.
    private static func count(_ fd: CInt, _ queue: UInt) -> CInt {
        var count: CInt = 0
        return ioctl(fd, queue, &count) == 0 ? count : 0
    }

    private static func port(
        _ fd: CInt, _ name: (CInt, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) -> Int? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isNamed = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name(fd, $0, &length) == 0 }
        }
        guard isNamed, address.sin_family == sa_family_t(AF_INET) else { return nil }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
