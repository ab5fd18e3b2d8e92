import Admin
import Daemon
import Logging
import Systemd
import TunnelTransport

/// Logs failed handshakes, each kind from each address once a minute: whoever knocks cannot fill the log.
struct HandshakeLog: HandshakeObserver {
    private let logger: Logger
    private let limiter = OncePer(interval: .seconds(60))

    init(logger: Logger) { self.logger = logger }

    func handshakeFailed(_ error: HandshakeError, address: String) {
        let host = address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
        guard let suppressed = self.limiter.admit(kind: error.failure.rawValue, source: host) else { return }
        let isRefused = [.authentication, .forbidden].contains(error.failure)
        let event: Logger.Metadata = isRefused ? .event(.clientRefused) : [:]
        // A client that comes by a second address and finds out is nothing to worry about.
        self.logger.log(
            level: error.failure == .unwanted ? .debug : .warning, "handshake failed",
            metadata: event.merging([
                "address": "\(address)", "reason": "\(error.failure.rawValue)", "detail": "\(error.detail)",
                "suppressed": "\(suppressed)",
            ]) { $1 })
    }
}
