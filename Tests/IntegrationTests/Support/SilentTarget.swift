#if canImport(Glibc)
import Glibc
#endif

/// A listener of 127.0.0.1 whose queue is full, so that the kernel drops every further attempt to connect: for a dialler, a
/// host that does not answer.
final class SilentTarget: Sendable {
    let port: Int
    private let descriptors: [Int32]

    /// - Parameter port: a port that nothing listens on.
    init(port: Int) throws {
        let listener = try Self.makeSocket()
        var descriptors = [listener]
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) == 0 && listen(listener, 0) == 0 }
        }
        guard isListening else { throw Unmet("expected to listen on \(port): \(String(cString: strerror(errno)))") }
        // Linux lets backlog + 1 connections wait; the ones beyond stay in the middle of their handshake.
        for _ in 0..<3 {
            let filler = try Self.makeSocket()
            descriptors.append(filler)
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = connect(filler, $0, length) }
            }
        }
        self.port = port
        self.descriptors = descriptors
    }

    deinit { for descriptor in self.descriptors { close(descriptor) } }

    private static func makeSocket() throws -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { throw Unmet("expected a socket: \(String(cString: strerror(errno)))") }
        return descriptor
    }
}
