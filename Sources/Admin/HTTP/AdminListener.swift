import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Why the admin API cannot listen.
package struct AdminListenerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One line: what is wrong, where, how to mend it.
    package let description: String
    /// The exit code for it, as in sysexits.h: 75 another process is there, 69 the system refuses, 78 the setting cannot work.
    package let exitCode: Int32
}

/// A listening socket of the admin API, open and bound before anything is served on it.
///
/// hummingbird's own server removes a socket file although a process still answers on it, and cannot take a socket that is open
/// already; hence this listener, whose descriptor is given to NIO by ``AdminServer``.
package struct AdminListener: Sendable {
    /// The listening socket. Belongs to ``AdminServer`` from its `run` on.
    let descriptor: CInt
    /// Where it listens, for the log.
    package let place: String
    /// Whether requests may change something: on Unix sockets, which the file mode guards, and not on TCP.
    let allowsActions: Bool
    /// The file to remove at the end, and what identifies it as ours.
    private let file: SocketFile?

    private struct SocketFile: Sendable {
        var path: String
        var device: UInt64
        var inode: UInt64

        /// The file that is at `path` now, nil if there is none.
        init?(path: String) {
            var status = stat()
            guard lstat(path, &status) == 0 else { return nil }
            (self.path, self.device, self.inode) = (path, UInt64(status.st_dev), UInt64(status.st_ino))
        }
    }

    /// Binds a Unix socket at `path` with mode 0660. A missing parent directory is made (0750); a socket file that nobody answers
    /// on is replaced.
    ///
    /// - Throws: ``AdminListenerError``; 75 if another process answers at `path`.
    package static func unix(path: String) throws -> AdminListener {
        guard path.utf8.count <= UnixSocket.longestPath else {
            throw AdminListenerError(
                description: "admin.socket: \(SafeText.line(path)) is longer than the \(UnixSocket.longestPath) bytes"
                    + " a Unix socket's path may have; choose a shorter one", exitCode: 78)
        }
        let directory = try SocketDirectory(of: path)
        defer { directory.unlock() }
        try clear(path)
        let descriptor = UnixSocket.make()
        guard descriptor >= 0 else { throw failure("cannot open a socket for", path, errno) }
        // On Linux the mode of the socket is that of the file it is bound to, so that the file never exists with more rights than
        // these.
        fchmod(descriptor, 0o660)
        guard UnixSocket.withAddress(path, { bind(descriptor, $0, $1) }) == 0, chmod(path, 0o660) == 0,
            listen(descriptor, 64) == 0, let file = SocketFile(path: path)
        else {
            let code = errno
            close(descriptor)
            throw failure("cannot listen at", path, code)
        }
        return AdminListener(descriptor: descriptor, place: path, allowsActions: true, file: file)
    }

    /// Binds a TCP address, `host:port` or `[v6]:port`. It serves what only reads.
    package static func tcp(_ address: String) throws -> AdminListener {
        let (host, port) = try split(address)
        let socketAddress: SocketAddress
        do {
            socketAddress = try SocketAddress.makeAddressResolvingHost(host, port: port)
        } catch {
            throw AdminListenerError(description: "admin.addr: cannot resolve \(SafeText.line(host))", exitCode: 69)
        }
        let flags = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(socketAddress.protocol == .inet6 ? AF_INET6 : AF_INET, flags, 0)
        guard descriptor >= 0 else { throw failure("cannot open a socket for", address, errno) }
        var on: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
        let bound = socketAddress.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
        guard bound == 0, listen(descriptor, 64) == 0 else {
            let code = errno
            close(descriptor)
            throw failure("cannot listen at", address, code)
        }
        return AdminListener(descriptor: descriptor, place: localPlace(descriptor) ?? address, allowsActions: false, file: nil)
    }

    /// Takes a socket that listens already: from socket activation or from the process before this one.
    ///
    /// - Parameter file: the path that this process is to remove at the end; nil: the file is left in place.
    package static func inherited(_ descriptor: CInt, file: String? = nil) throws -> AdminListener {
        var family: sa_family_t = 0
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                let result = getsockname(descriptor, $0, &size)
                family = $0.pointee.sa_family
                return result
            }
        }
        guard result == 0 else { throw failure("cannot use the inherited descriptor", "\(descriptor)", errno) }
        let isUnix = Int32(family) == AF_UNIX
        let place = isUnix ? "inherited Unix socket" : localPlace(descriptor) ?? "inherited socket"
        return AdminListener(
            descriptor: descriptor, place: file ?? place, allowsActions: isUnix, file: file.flatMap { SocketFile(path: $0) })
    }

    /// Removes the socket's file once the descriptor is closed here, if the file is still the one made here and nobody answers on
    /// it: another process may have taken the place since (and been given the same inode number), or may have inherited the
    /// socket.
    func removeFile() {
        guard let file else { return }
        var status = stat()
        guard lstat(file.path, &status) == 0, UInt64(status.st_dev) == file.device, UInt64(status.st_ino) == file.inode,
            UnixSocket.probe(file.path) == .stale
        else { return }
        unlink(file.path)
    }

    /// Another descriptor of the socket, close-on-exec, for the process that takes this one's place; nil if there is none left.
    package func duplicate() -> CInt? {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        return copy >= 0 ? copy : nil
    }

    /// Closes a listener that will not be served after all, and removes its file.
    package func discard() {
        close(descriptor)
        removeFile()
    }

    /// Makes room at `path`, unless somebody answers there or it is no socket.
    private static func clear(_ path: String) throws {
        switch UnixSocket.probe(path) {
        case .absent: return
        case .stale: unlink(path)
        case .live:
            throw AdminListenerError(
                description: "another process is serving \(SafeText.line(path)); stop it, or choose another admin.socket",
                exitCode: 75)
        case .notASocket:
            throw AdminListenerError(
                description: "\(SafeText.line(path)) exists and is not a socket; remove it, or choose another admin.socket",
                exitCode: 78)
        case .failed(let code): throw failure("cannot listen at", path, code)
        }
    }

    private static func failure(_ what: String, _ place: String, _ code: CInt) -> AdminListenerError {
        let mend = code == EADDRINUSE ? "; another process has it: stop that, or choose another address" : ""
        return AdminListenerError(
            description: "admin: \(what) \(SafeText.line(place)): \(UnixSocket.text(code))\(mend)",
            exitCode: code == EADDRINUSE ? 75 : 69)
    }

    private static func split(_ address: String) throws -> (host: String, port: Int) {
        guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...]) else {
            throw AdminListenerError(
                description: "admin.addr: \(SafeText.line(address)) is not host:port, such as 127.0.0.1:17080", exitCode: 78)
        }
        let host = address[..<colon]
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
        return (String(bare), Int(port))
    }

    /// `host:port` that a TCP socket is bound to, with the port the system chose if 0 was asked for.
    private static func localPlace(_ descriptor: CInt) -> String? {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &address) { pointer -> String? in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw -> String? in
                guard getsockname(descriptor, raw, &size) == 0 else { return nil }
                var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
                var port = [CChar](repeating: 0, count: 16)
                let flags = NI_NUMERICHOST | NI_NUMERICSERV
                guard getnameinfo(raw, size, &host, socklen_t(host.count), &port, socklen_t(port.count), flags) == 0 else {
                    return nil
                }
                let (name, number) = (text(host), text(port))
                return name.contains(":") ? "[\(name)]:\(number)" : "\(name):\(number)"
            }
        }
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
