import NIOCore
import NIOPosix
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// Looks names up in the system's way (getaddrinfo, RFC 3493), on NIO's threads for blocking work, so that a slow name
/// server never holds an event loop. As many lookups run at a time as that pool has threads; the others wait.
package struct NameResolver: Sendable {
    /// Why a name leads nowhere; says the name.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        /// Printable, short.
        package let description: String

        fileprivate init(_ host: String, _ reason: String) {
            let name = PrintableText.clean(host, limit: 120)
            self.description = "\(name) cannot be resolved: \(PrintableText.clean(reason, limit: 60))"
        }
    }

    private let pool: NIOThreadPool

    package init(pool: NIOThreadPool = .singleton) { self.pool = pool }

    /// Every address that a host leads to, each once, in the system's order of preference (RFC 6724); never empty.
    /// Fails with `Failure`. An IP address leads to itself, at once.
    /// - Parameter port: put into every address.
    package func resolve(host: String, port: Int, on eventLoop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        if let address = try? SocketAddress(ipAddress: host, port: port) { return eventLoop.makeSucceededFuture([address]) }
        return self.pool.runIfActive(eventLoop: eventLoop) { try Self.lookUp(host, port: port) }
    }

    private static func lookUp(_ host: String, port: Int) throws(Failure) -> [SocketAddress] {
        guard !host.utf8.contains(0) else { throw Failure(host, "a name holds no NUL") }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        // No addresses of a family that this host does not have.
        hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let list else {
            throw Failure(host, code == EAI_SYSTEM ? String(cString: strerror(errno)) : String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        for entry in sequence(first: list, next: { $0.pointee.ai_next }) {
            guard let address = Self.address(of: entry.pointee), !addresses.contains(address) else { continue }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw Failure(host, "it has no IP address") }
        return addresses
    }

    private static func address(of entry: addrinfo) -> SocketAddress? {
        guard let bytes = UnsafeRawPointer(entry.ai_addr) else { return nil }
        switch entry.ai_family {
        case AF_INET: return SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self))
        case AF_INET6: return SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self))
        default: return nil
        }
    }
}
