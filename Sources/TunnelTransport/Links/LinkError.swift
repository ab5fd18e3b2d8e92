import NIOCore
import NIOSSL
import TunnelWire

/// Words for the errors that a connection ends with; the libraries' own are for their makers.
enum LinkError {
    static func text(_ error: any Error) -> String {
        switch error {
        case let error as IOError: error.localizedText
        case NIOSSLError.uncleanShutdown: "the connection ended without a good-bye"
        case ChannelError.eof, ChannelError.inputClosed: "the connection ended"
        case ChannelError.alreadyClosed, ChannelError.ioOnClosedChannel: "the connection was closed"
        case is BoringSSLError: "TLS failed: what came is not what belongs there"
        case NIOSSLError.handshakeFailed: "the TLS handshake failed"
        default: PrintableText.clean(String(describing: error), limit: 120)
        }
    }

    /// Whether the other end ended TLS because it does not believe this end's certificate (the alerts 42 to 48 and 116 of
    /// RFC 8446, section 6.2). The library tells them apart by text alone.
    static func refusesCertificate(_ error: any Error) -> Bool {
        let text = String(describing: error).uppercased()
        return ["ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_CERTIFICATE_", "ALERT_UNKNOWN_CA"]
            .contains { text.contains($0) }
    }
}
