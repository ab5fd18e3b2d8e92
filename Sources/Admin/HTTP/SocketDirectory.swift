#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The directory of a socket, locked while the socket is looked for and bound there: two processes that start at once and find
/// the same stale socket would otherwise remove each other's.
struct SocketDirectory {
    private let descriptor: CInt

    /// Makes the directory of `path` if it is missing (0750; its parents 0755), and locks it.
    ///
    /// - Throws: ``AdminListenerError``; 78 if the directory belongs to somebody else, who could put any socket in our place.
    init(of path: String) throws {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true).dropLast()
        let prefix = path.hasPrefix("/") ? "/" : ""
        let directory = parts.isEmpty ? (prefix.isEmpty ? "." : "/") : prefix + parts.joined(separator: "/")
        for count in 1..<max(1, parts.count) { mkdir(prefix + parts.prefix(count).joined(separator: "/"), 0o755) }
        if mkdir(directory, 0o750) != 0, errno != EEXIST { throw Self.failure("cannot make", directory, errno) }
        descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure("cannot open", directory, errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == geteuid() || status.st_uid == 0 else {
            close(descriptor)
            throw AdminListenerError(
                description: "admin.socket: the directory \(SafeText.line(directory)) belongs to another user;"
                    + " choose another place", exitCode: 78)
        }
        lock()
    }

    func unlock() {
        close(descriptor)
    }

    /// Waits up to two seconds, and goes on without the lock then: in a shared directory such as /tmp anybody may hold it.
    private func lock() {
        for _ in 0..<100 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK { return }
            usleep(20_000)
        }
    }

    private static func failure(_ what: String, _ directory: String, _ code: CInt) -> AdminListenerError {
        AdminListenerError(
            description: "admin.socket: \(what) the directory \(SafeText.line(directory)): \(UnixSocket.text(code))", exitCode: 69
        )
    }
}
