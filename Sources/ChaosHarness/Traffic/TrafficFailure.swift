import Identity
import NIOCore
import NIOHTTP1
import NIOSSL

#if canImport(Glibc)
import Glibc
#endif

/// Words for what goes wrong with a connection.
enum TrafficFailure {
    /// A short printable reason.
    static func text(_ error: any Error) -> String {
        switch error {
        case let error as IOError: text(errno: error.errnoCode)
        case ChannelError.connectTimeout: "no answer to the connection attempt"
        case NIOSSLError.uncleanShutdown, HTTPParserError.invalidEOFState: "closed in the middle"
        default: PrintableText.sanitize(String(describing: error), limit: 120)
        }
    }

    private static func text(errno code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection refused"
        case ECONNRESET, EPIPE: "connection reset"
        case ETIMEDOUT: "no answer to the connection attempt"
        case EHOSTUNREACH, ENETUNREACH: "no route to the host"
        case EADDRINUSE: "the address is in use"
        case EACCES, EPERM: "permission denied"
        case EMFILE, ENFILE: "no file descriptors left"
        case EADDRNOTAVAIL: "no local port left, or no address of this host"
        default: "system error \(code)"
        }
    }
}

/// What keeps traffic or a backend from starting: one line, with how to mend it.
package struct TrafficProblem: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

extension Channel {
    /// RST to the other end, instead of an end in order.
    func reset() {
        if let options = self as? any SocketOptionProvider {
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        close(promise: nil)
    }
}
