import Crypto
import FoundationEssentials

/// Which end of a link one is.
package enum HandshakeSide: Sendable, Equatable, CaseIterable {
    /// The end that opened the connection: a client, or a server dialling a peer. It proves itself first.
    case dialer
    /// The end that accepted it. It proves itself only after it verified the dialer.
    case acceptor
}

/// HMAC-SHA-256 over a handshake's transcript, 32 bytes. It shows knowledge of a key and discloses nothing of it.
///
/// Deliberately not `Equatable`: only ``HandshakeTranscript`` compares proofs, in constant time.
package struct HandshakeProof: Sendable {
    /// In bytes.
    package static let length = 32
    package let bytes: [UInt8]

    /// A proof as it came off the wire; `nil` unless 32 bytes.
    package init?(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes.prefix(HandshakeProof.length + 1))
        guard self.bytes.count == HandshakeProof.length else { return nil }
    }

    fileprivate init(code: HMAC<SHA256>.MAC) { bytes = Array(code) }
}

/// Everything that both ends of a connection have to have seen alike before either believes the other.
///
/// A proof is HMAC-SHA-256 over five fields, each preceded by its length in bytes as a big-endian 32-bit number:
/// the label, the token id, the dialer's HELLO, the acceptor's HELLO (both complete, as encoded), and the SHA-256 of the leaf
/// certificate (DER) that *this* connection showed. The certificate is what a man in the middle cannot show; the nonces in the
/// HELLOs are what makes an old proof useless; the label is what keeps a proof from being sent back to its maker.
///
/// | label | key |
/// | --- | --- |
/// | `gotunnel/1 dialer`, `gotunnel/1 acceptor` | the token's, see ``AuthenticationKey`` |
/// | `gotunnel/1 dialer resume`, `gotunnel/1 acceptor resume` | the session's, see ``SessionSecret`` |
package struct HandshakeTranscript: Sendable {
    package var tokenID: String
    package var dialerHello: [UInt8]
    package var acceptorHello: [UInt8]
    package var certificate: CertificateFingerprint

    /// - Parameters:
    ///   - tokenID: the id that the dialer named; empty where certificates authenticate.
    ///   - dialerHello: the complete encoding of the dialer's HELLO.
    ///   - acceptorHello: the complete encoding of the acceptor's HELLO.
    ///   - certificate: fingerprint of the acceptor's leaf certificate on this connection.
    package init(
        tokenID: String, dialerHello: some Sequence<UInt8>, acceptorHello: some Sequence<UInt8>,
        certificate: CertificateFingerprint
    ) {
        self.tokenID = tokenID
        self.dialerHello = Array(dialerHello)
        self.acceptorHello = Array(acceptorHello)
        self.certificate = certificate
    }

    /// What `side` sends to show that it holds the token.
    package func proof(for side: HandshakeSide, key: AuthenticationKey) -> HandshakeProof {
        code(label: Self.label(side), key: key.proofKey)
    }

    /// Whether `proof` shows that `side` holds the token. Constant-time.
    package func verify(_ proof: HandshakeProof, for side: HandshakeSide, key: AuthenticationKey) -> Bool {
        isValid(proof, label: Self.label(side), key: key.proofKey)
    }

    /// What `side` sends, beside its ordinary proof, to show that it holds the session it wants to take up again.
    package func resumeProof(for side: HandshakeSide, secret: SessionSecret) -> HandshakeProof {
        code(label: Self.resumeLabel(side), key: secret.key)
    }

    /// Whether `proof` shows that `side` holds the session. Constant-time.
    package func verifyResume(_ proof: HandshakeProof, for side: HandshakeSide, secret: SessionSecret) -> Bool {
        isValid(proof, label: Self.resumeLabel(side), key: secret.key)
    }

    /// The bytes that are authenticated. Every field carries its length, so no two transcripts share an encoding.
    func encoded(label: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in [Array(label.utf8), Array(tokenID.utf8), dialerHello, acceptorHello, certificate.bytes] {
            withUnsafeBytes(of: UInt32(field.count).bigEndian) { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: field)
        }
        return bytes
    }

    private func code(label: String, key: SymmetricKey) -> HandshakeProof {
        HandshakeProof(code: HMAC<SHA256>.authenticationCode(for: encoded(label: label), using: key))
    }

    private func isValid(_ proof: HandshakeProof, label: String, key: SymmetricKey) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(proof.bytes, authenticating: encoded(label: label), using: key)
    }

    private static func label(_ side: HandshakeSide) -> String {
        switch side {
        case .dialer: "gotunnel/1 dialer"
        case .acceptor: "gotunnel/1 acceptor"
        }
    }

    private static func resumeLabel(_ side: HandshakeSide) -> String { label(side) + " resume" }
}
