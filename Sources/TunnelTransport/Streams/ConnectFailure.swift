import NIOCore
import NIOPosix
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// Why a TCP connection did not come to be, told apart as far as an operator cares.
package struct ConnectFailure: Sendable {
    package let code: RefusalCode
    /// Printable, short.
    package let reason: String

    package init(_ error: any Error) {
        switch error {
        case let error as IOError: (self.code, self.reason) = Self.describe(error.errnoCode)
        case ChannelError.connectTimeout: (self.code, self.reason) = (.timedOut, "no answer to the connection attempt")
        case let error as NIOConnectionError: self = Self.combined(error)
        case is SocketAddressError.UnknownHost, is SocketAddressError:
            (self.code, self.reason) = (.unreachable, "the name cannot be resolved")
        default: (self.code, self.reason) = (.other, PrintableText.clean(String(describing: error), limit: 120))
        }
    }

    private static func describe(_ code: CInt) -> (RefusalCode, String) {
        switch code {
        case ECONNREFUSED: (.connectionRefused, "connection refused")
        case ETIMEDOUT: (.timedOut, "no answer to the connection attempt")
        case EHOSTUNREACH, ENETUNREACH: (.unreachable, "no route to the host")
        case EMFILE, ENFILE: (.busy, "no file descriptors left")
        case EADDRNOTAVAIL: (.busy, "no local ports left")
        default: (.other, PrintableText.clean(IOError(errnoCode: code, reason: "connect").localizedText, limit: 120))
        }
    }

    /// Several addresses were tried: the first that was reached at all says most.
    private static func combined(_ error: NIOConnectionError) -> ConnectFailure {
        if let first = error.connectionErrors.first { return ConnectFailure(first.error) }
        return ConnectFailure(code: .unreachable, reason: "the name \(PrintableText.clean(error.host)) cannot be resolved")
    }

    private init(code: RefusalCode, reason: String) {
        self.code = code
        self.reason = reason
    }
}

extension IOError {
    /// The system's words for the error.
    var localizedText: String { String(cString: strerror(self.errnoCode)) }
}
