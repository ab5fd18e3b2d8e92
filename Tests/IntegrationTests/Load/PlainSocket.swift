import Glibc

/// A blocking TCP socket under full control of the test: half-close, RST, unread data, small buffers.
///
/// Not to be used from a task, where blocking would hold up others: use `onThread`.
final class PlainSocket: Sendable {
    enum Arrival: Equatable, Sendable {
        case bytes(Int)
        /// The other end sent FIN.
        case end
        /// The other end sent RST.
        case reset
    }

    let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
        self.setOption(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        // A test that hangs says nothing; one that fails says where.
        self.setTimeouts(seconds: 120)
    }

    // MARK: Making one

    /// Connects to `port` of 127.0.0.1. `source`: the loopback address to connect from, if it matters.
    static func connect(port: Int, from source: String? = nil, sendBuffer: Int? = nil) throws -> PlainSocket {
        let socket = PlainSocket(descriptor: try Self.make())
        if let sendBuffer { socket.setOption(SOL_SOCKET, SO_SNDBUF, Int32(sendBuffer)) }
        if let source { try socket.call("bind", address: source, port: 0) { Glibc.bind(socket.descriptor, $0, $1) } }
        try socket.call("connect", address: "127.0.0.1", port: port) { Glibc.connect(socket.descriptor, $0, $1) }
        return socket
    }

    /// Listens on a free port of 127.0.0.1.
    static func listen(backlog: Int32 = 4_096) throws -> PlainSocket {
        let socket = PlainSocket(descriptor: try Self.make())
        socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
        try socket.call("bind", address: "127.0.0.1", port: 0) { Glibc.bind(socket.descriptor, $0, $1) }
        guard Glibc.listen(socket.descriptor, backlog) == 0 else { throw SocketFailure("listen", errno) }
        return socket
    }

    func accept(receiveBuffer: Int? = nil) throws -> PlainSocket {
        while true {
            let descriptor = Glibc.accept(self.descriptor, nil, nil)
            if descriptor >= 0 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                let socket = PlainSocket(descriptor: descriptor)
                if let receiveBuffer { socket.setOption(SOL_SOCKET, SO_RCVBUF, Int32(receiveBuffer)) }
                return socket
            }
            guard errno == EINTR else { throw SocketFailure("accept", errno) }
        }
    }

    private static func make() throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure("socket", errno) }
        return descriptor
    }

    /// The port this end is bound to.
    var port: Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(self.descriptor, $0, &length) }
        }
        return result == 0 ? Int(UInt16(bigEndian: address.sin_port)) : 0
    }

    // MARK: Bytes

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Arrival {
        while true {
            let count = Glibc.recv(self.descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if errno == EINTR { continue }
            if errno == ECONNRESET || errno == EPIPE { return .reset }
            throw SocketFailure("read", errno)
        }
    }

    /// Everything up to the end of the input, and how it ended.
    func readAll(limit: Int = 64 << 20) throws -> (bytes: [UInt8], ending: Arrival) {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let arrival = try buffer.withUnsafeMutableBytes { try self.read(into: $0) }
            guard case .bytes(let count) = arrival else { return (all, arrival) }
            all.append(contentsOf: buffer[..<count])
            guard all.count <= limit else { throw SocketFailure("read: more than \(limit) bytes", 0) }
        }
    }

    /// Exactly `count` bytes; fewer only when the input ends or is reset before.
    func read(exactly count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let arrival = try bytes.withUnsafeMutableBytes {
                try self.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[filled...]))
            }
            guard case .bytes(let more) = arrival else { return Array(bytes[..<filled]) }
            filled += more
        }
        return bytes
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            let count = send(self.descriptor, part.baseAddress, part.count, Int32(MSG_NOSIGNAL))
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                throw SocketFailure("write", errno)
            }
        }
    }

    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try self.write($0) } }

    // MARK: Endings

    /// FIN; reading goes on.
    func finishWriting() { _ = shutdown(self.descriptor, Int32(SHUT_WR)) }

    /// Makes every blocked call on the socket return.
    func interrupt() { _ = shutdown(self.descriptor, Int32(SHUT_RDWR)) }

    func close() { _ = Glibc.close(self.descriptor) }

    /// RST.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        self.close()
    }

    // MARK: Options

    func setTimeouts(seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            _ = setsockopt(self.descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        _ = setsockopt(self.descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private func call(
        _ what: String, address: String, port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws {
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = UInt16(port).bigEndian
        place.sin_addr.s_addr = inet_addr(address)
        let result = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard result == 0 else { throw SocketFailure("\(what) \(address):\(port)", errno) }
    }
}

/// What a socket call came to.
struct SocketFailure: Error, CustomStringConvertible {
    let description: String
    let code: Int32

    init(_ what: String, _ code: Int32) {
        self.code = code
        self.description = code == 0 ? what : "\(what): \(String(cString: strerror(code)))"
    }
}
