import Admin
import Logging
import TunnelWire

/// Logs streams that could not be opened: each destination and cause once a minute, so that a target that is down does not
/// fill the log; the metrics count them all.
package struct RefusalLog: Sendable {
    private let logger: Logger
    private let limiter = OncePer(interval: .seconds(60))

    package init(logger: Logger) { self.logger = logger }

    package func note(_ refusal: Refusal, destination: Destination, source: String, client: String) {
        // A name that the other end made up must not make an entry of its own: it could make up very many.
        let isMadeUp = refusal.code == .unknownDestination || refusal.code == .forbidden
        let place = isMadeUp ? client : "\(destination.text) of \(client)"
        guard let suppressed = self.limiter.admit(kind: refusal.code.label, source: place) else { return }
        self.logger.warning(
            "stream refused",
            metadata: [
                "destination": "\(destination.text)", "client": "\(client)", "source": "\(source)",
                "code": "\(refusal.code.label)", "reason": "\(refusal.reason)", "suppressed": "\(suppressed)",
            ])
    }
}

extension Destination {
    /// For people: `service apiserver`, `exposure worker-1/kubelet`, `address 10.0.0.1:10250`.
    package var text: String {
        switch self {
        case .service(let name): "service \(name)"
        case .exposure(let client, let name): "exposure \(client)/\(name)"
        case .address(let host, let port): "address \(host):\(port)"
        }
    }
}
