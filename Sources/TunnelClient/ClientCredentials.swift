import Daemon
import Identity
import NIOCore
import Settings
import Timing
import TunnelSession
import TunnelTransport

/// The secrets and certificates of a client, read from where the configuration says.
enum ClientCredentials {
    /// A dialer that proves what the settings say: a certificate where `tls` is set, else the token.
    static func dialer(
        _ settings: ClientSettings, _ surroundings: Surroundings, party: LocalParty, eventLoop: any EventLoop
    ) throws -> LinkDialer {
        try Proof(settings, surroundings).dialer(settings, party: party, eventLoop: eventLoop)
    }

    /// What a client proves itself with and what it believes.
    struct Proof {
        private let tls: TLSContext
        private let credential: DialerCredential
        private let pins: CertificatePins

        init(_ settings: ClientSettings, _ surroundings: Surroundings) throws {
            self.pins = CertificatePins(try settings.serverPins.map { try CertificateFingerprint($0.description) })
            (self.tls, self.credential) = try ClientCredentials.load(settings, surroundings)
        }

        func dialer(
            _ settings: ClientSettings, party: LocalParty, eventLoop: any EventLoop, localAddress: SocketAddress? = nil
        ) -> LinkDialer {
            LinkDialer(
                eventLoop: eventLoop, tls: self.tls, party: party, credential: self.credential, pins: self.pins,
                connectTimeout: .nanoseconds(settings.dialTimeout.wholeNanoseconds), localAddress: localAddress)
        }
    }

    private static func load(_ settings: ClientSettings, _ surroundings: Surroundings) throws -> (TLSContext, DialerCredential) {
        if let files = settings.tls {
            let certificate = try ServerCertificate.load(
                certificate: files.certificate, key: files.key, credentials: surroundings.environment["CREDENTIALS_DIRECTORY"])
            guard let authority = try StateFile.read(files.ca, as: .open) else {
                throw StartupError("client.tls.ca: \(files.ca) does not exist; copy ca.crt from the servers", .configuration)
            }
            let trust = try CertificateTrust(pem: authority.text, place: files.ca)
            return (try TLSContext.dialer(certificate: certificate, trust: trust), .certificate)
        }
        guard let source = settings.token else {
            throw StartupError("client.token_file: no token is configured; write token_file or tls", .configuration)
        }
        let token = try StartupError.naming("client.\(source.key)") {
            try Token(try source.read(in: surroundings).reveal(), allowWeak: settings.allowWeakToken)
        }
        return (try TLSContext.dialer(), .token(AuthenticationKey(token, for: .clientToken)))
    }
}
