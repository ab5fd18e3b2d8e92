import Crypto
import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A failed call on a socket.
struct SocketError: Error, Equatable, CustomStringConvertible {
    let call: String
    let code: CInt
    var description: String { "\(self.call): \(String(cString: strerror(self.code)))" }
}

/// A blocking TCP socket, the way an ordinary program uses one. Every call gives up after a minute.
final class RawSocket: Sendable {
    /// How the other direction ended.
    enum End: Equatable, Sendable {
        case finished
        case reset
        case error(CInt)
    }

    private let descriptor: Atomic<CInt>
    private var fd: CInt { self.descriptor.load(ordering: .relaxed) }

    init(adopting fd: CInt) {
        self.descriptor = Atomic(fd)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            var bound = timeval(tv_sec: 60, tv_usec: 0)
            setsockopt(fd, SOL_SOCKET, option, &bound, socklen_t(MemoryLayout<timeval>.size))
        }
        var one: CInt = 1
        setsockopt(fd, CInt(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<CInt>.size))
    }

    deinit { self.close() }

    /// Connects from `source`, a loopback address, to `127.0.0.1:port`.
    static func connect(port: Int, from source: String? = nil, receiveBuffer: CInt? = nil) throws -> RawSocket {
        let socket = RawSocket(adopting: try check("socket", Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)))
        if var size = receiveBuffer {
            setsockopt(socket.fd, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
        }
        if let source {
            _ = try Self.withAddress(source, 0) { try check("bind", Glibc.bind(socket.fd, $0, $1)) }
        }
        _ = try Self.withAddress("127.0.0.1", port) { try check("connect", Glibc.connect(socket.fd, $0, $1)) }
        return socket
    }

    /// Listens on a port of 127.0.0.1, on a free one unless told which.
    static func listen(port: Int = 0, backlog: CInt = 2_048) throws -> RawSocket {
        let socket = RawSocket(adopting: try check("socket", Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)))
        var one: CInt = 1
        setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<CInt>.size))
        _ = try Self.withAddress("127.0.0.1", port) { try check("bind", Glibc.bind(socket.fd, $0, $1)) }
        _ = try check("listen", Glibc.listen(socket.fd, backlog))
        return socket
    }

    func accept() throws -> RawSocket { RawSocket(adopting: try Self.check("accept", Glibc.accept(self.fd, nil, nil))) }

    /// The local port.
    var port: Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(self.fd, $0, &length) }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    // MARK: Bytes

    func send(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try self.send($0) } }
    func send(_ text: String) throws { try self.send(Array(text.utf8)) }

    func send(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while rest.count > 0 {
            let sent = try Self.check("send", Glibc.send(self.fd, rest.baseAddress, rest.count, CInt(MSG_NOSIGNAL)))
            rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
        }
    }

    /// Sends the first `count` bytes of the pattern in pieces of `piece`.
    func send(_ pattern: Pattern, count: Int, piece: Int = 65_536) throws {
        var done = 0
        while done < count {
            done += try pattern.withBytes(at: done, count: min(piece, count - done)) {
                try self.send($0)
                return $0.count
            }
        }
    }

    /// Sends as much of `bytes` as goes without waiting; returns how many bytes went.
    func sendAtOnce(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes {
            max(0, Glibc.send(self.fd, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT)))
        }
    }

    /// Up to `limit` bytes; none at the end of the stream.
    func receive(atMost limit: Int = 65_536) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = try bytes.withUnsafeMutableBytes { try Self.check("recv", recv(self.fd, $0.baseAddress, $0.count, 0)) }
        return Array(bytes.prefix(count))
    }

    /// Exactly `count` bytes, or fewer where the stream ends before.
    func receive(exactly count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let piece = try self.receive(atMost: count - bytes.count)
            if piece.isEmpty { break }
            bytes += piece
        }
        return bytes
    }

    /// Reads to the end of the stream, which should be `pattern`; stops early after `limit` bytes.
    func receive(_ pattern: Pattern, limit: Int = .max, pause: (@Sendable (Int) -> Void)? = nil) -> Received {
        var received = Received(digest: SHA256().finalize(), end: .finished)
        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 131_072)
        buffer.withUnsafeMutableBytes { bytes in
            while received.count < limit {
                let count = recv(self.fd, bytes.baseAddress, min(bytes.count, limit - received.count), 0)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 {
                    received.end = count == 0 ? .finished : Self.end(errno)
                    break
                }
                let piece = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                if received.firstDifference == nil {
                    received.firstDifference = pattern.difference(piece, at: received.count)
                }
                hash.update(bufferPointer: piece)
                received.count += count
                pause?(received.count)
            }
        }
        received.digest = hash.finalize()
        return received
    }

    /// Reads what is left; how the stream ended and how many bytes there were.
    func drain() -> (count: Int, end: End) {
        var total = 0
        while true {
            do {
                let bytes = try self.receive()
                if bytes.isEmpty { return (total, .finished) }
                total += bytes.count
            } catch let error as SocketError {
                return (total, Self.end(error.code))
            } catch {
                return (total, .error(0))
            }
        }
    }

    // MARK: Ends

    /// FIN: no more will be sent.
    func finish() { _ = shutdown(self.fd, CInt(SHUT_WR)) }

    /// RST.
    func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        self.close()
    }

    func close() {
        let fd = self.descriptor.exchange(-1, ordering: .relaxed)
        if fd >= 0 { _ = Glibc.close(fd) }
    }

    /// Wakes a thread that waits in `accept`; `close` alone would not.
    func stopListening() { _ = shutdown(self.fd, CInt(SHUT_RDWR)) }

    // MARK: Calls

    private static func end(_ code: CInt) -> End { code == ECONNRESET ? .reset : .error(code) }

    @discardableResult
    private static func check<Number: SignedInteger>(_ call: String, _ result: @autoclosure () -> Number) throws -> Number {
        while true {
            let value = result()
            if value >= 0 { return value }
            let code = errno
            if code == EINTR { continue }
            throw SocketError(call: call, code: code)
        }
    }

    private static func withAddress<Value>(
        _ host: String, _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Value
    ) rethrows -> Value {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return try withUnsafePointer(to: &address) {
            try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// How many TCP sockets of this process have one of `ports` at either end; listeners do not count.
    static func connections(touching ports: Set<Int>) -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { CInt($0) }.filter { fd in
            guard let remote = Self.port(fd, getpeername), let local = Self.port(fd, getsockname) else { return false }
            return ports.contains(remote) || ports.contains(local)
        }.count
    }

    private static func port(
        _ fd: CInt, _ name: (CInt, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) -> Int? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard name(fd, address, &length) == 0, address.pointee.sa_family == sa_family_t(AF_INET) else { return nil }
                return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    Int(UInt16(bigEndian: $0.pointee.sin_port))
                }
            }
        }
    }
}

extension RawSocket {
    /// Sends `count` bytes of one pattern and a FIN while it receives another to its end; adds what it received to `log`.
    func exchange(sending: Pattern, count: Int, receiving: Pattern, _ log: Log<Received>) throws {
        let sent = DispatchSemaphore(value: 0)
        let sender = Thread {
            // A failure shows in what the other end, or this one, receives.
            try? self.send(sending, count: count)
            self.finish()
            sent.signal()
        }
        sender.stackSize = 512 << 10
        sender.start()
        let received = self.receive(receiving)
        sent.wait()
        log.add(received)
    }
}

extension RawSocket {
    /// The same with as many bytes as can be sent until `isOver`.
    func exchange(
        sending: Pattern, until isOver: @escaping @Sendable () -> Bool, receiving: Pattern, _ log: Log<Received>
    ) throws {
        let sent = DispatchSemaphore(value: 0)
        let sender = Thread {
            var done = 0
            while !isOver() {
                let count = try? sending.withBytes(at: done, count: 20_000) {
                    try self.send($0)
                    return $0.count
                }
                guard let count else { break }
                done += count
            }
            self.finish()
            sent.signal()
        }
        sender.stackSize = 512 << 10
        sender.start()
        let received = self.receive(receiving)
        sent.wait()
        log.add(received)
    }
}
