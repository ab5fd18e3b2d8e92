import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL

#if canImport(Glibc)
import Glibc
#endif

/// Words for what goes wrong with a connection.
enum Trouble {
    static func text(_ error: any Error) -> String {
        switch error {
        case let error as IOError: self.text(errno: error.errnoCode)
        case ChannelError.connectTimeout: "no answer to the connection attempt"
        case NIOSSLError.uncleanShutdown, HTTPParserError.invalidEOFState, ChannelError.eof: "closed in the middle"
        case is NIOHTTP2Errors.StreamClosed: "the stream was closed in the middle"
        case let error as TrafficTrouble: error.description
        default:
            String(
                String(describing: error).unicodeScalars.prefix(120).map { $0.isASCII && $0.value >= 32 ? Character($0) : "?" })
        }
    }

    private static func text(errno code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection refused"
        case ECONNRESET, EPIPE, ECONNABORTED: "connection reset"
        case ETIMEDOUT: "no answer to the connection attempt"
        case EHOSTUNREACH, ENETUNREACH: "no route to the host"
        case EMFILE, ENFILE: "no file descriptors left"
        default: "system error \(code)"
        }
    }
}
