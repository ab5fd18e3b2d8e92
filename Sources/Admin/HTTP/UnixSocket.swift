#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The few system calls for Unix stream sockets that neither hummingbird nor NIO offers in the way needed here.
enum UnixSocket {
    /// What is at a path.
    enum Finding: Equatable {
        /// Nothing is there.
        case absent
        /// A process answers.
        case live
        /// A socket that nobody listens on: what a killed process left behind.
        case stale
        /// Something that is not a socket.
        case notASocket
        /// Connecting failed with this `errno`, such as EACCES.
        case failed(CInt)
    }

    /// Looks at `path` and, if it is a socket, tries to connect to it.
    static func probe(_ path: String) -> Finding {
        var status = stat()
        if lstat(path, &status) != 0 { return errno == ENOENT || errno == ENOTDIR ? .absent : .failed(errno) }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return .notASocket }
        let descriptor = make()
        guard descriptor >= 0 else { return .failed(errno) }
        defer { close(descriptor) }
        let result = withAddress(path) { connect(descriptor, $0, $1) }
        if result == 0 { return .live }
        switch errno {
        case ECONNREFUSED: return .stale
        case ENOENT: return .absent
        // The queue of a listener is full: busy, but alive.
        case EAGAIN: return .live
        case let code: return .failed(code)
        }
    }

    /// A socket that does not block and is not inherited; -1 and `errno` on failure.
    static func make() -> CInt {
        socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    }

    /// Longest path that fits `sockaddr_un`, its end mark not counted.
    static let longestPath = 107

    /// Calls `body` with the address of `path`; -1 and `ENAMETOOLONG` if it does not fit.
    static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        guard bytes.count <= longestPath else {
            errno = ENAMETOOLONG
            return -1
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    /// What `errno` means, such as "Permission denied".
    static func text(_ code: CInt) -> String {
        String(cString: strerror(code))
    }
}
