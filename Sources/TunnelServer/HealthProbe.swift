import AsyncHTTPClient
import NIOCore
import NIOSSL
import Settings
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

/// Performs single health checks: TCP, HTTP or HTTPS.
struct HealthProbe: Sendable {
    private let group: any EventLoopGroup
    private let strict: HTTPClient
    /// Takes any certificate: only the health is asked, nothing is sent.
    private let insecure: HTTPClient

    init(group: any EventLoopGroup) {
        self.group = group
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.idleTimeout = .seconds(5)
        configuration.redirectConfiguration = .disallow
        self.strict = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .none
        configuration.tlsConfiguration = tls
        self.insecure = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    /// Nil when the target is well, otherwise what is wrong, printable.
    func check(_ target: HostPort, _ health: HealthSettings) async -> String? {
        switch health.kind {
        case .tcp:
            await TCPProbe.check(host: target.host.description, port: target.port, timeout: health.timeout, group: self.group)
        case .http: await self.get("http://\(target)\(health.path)", self.strict, health.timeout)
        case .https:
            await self.get("https://\(target)\(health.path)", health.insecure ? self.insecure : self.strict, health.timeout)
        }
    }

    private func get(_ url: String, _ client: HTTPClient, _ timeout: Duration) async -> String? {
        do {
            let request = HTTPClientRequest(url: url)
            let response = try await client.execute(request, timeout: .nanoseconds(timeout.wholeNanoseconds))
            // The body is drained so that the connection can be used again; health pages are short.
            _ = try await response.body.collect(upTo: 65_536)
            return (200..<300).contains(Int(response.status.code)) ? nil : "HTTP status \(response.status.code)"
        } catch let error as HTTPClientError where error == .deadlineExceeded || error == .connectTimeout {
            return "no answer within \(timeout.inSeconds) s"
        } catch {
            return PrintableText.clean(String(describing: error), limit: 120)
        }
    }

    func shutDown() async {
        try? await self.strict.shutdown()
        try? await self.insecure.shutdown()
    }
}
