import Crypto
import FoundationEssentials

/// What a token is used for. A key for one purpose is of no use for another.
package enum KeyPurpose: Sendable, Equatable {
    /// A client and a server prove themselves to each other.
    case clientToken
    /// Two servers prove themselves to each other.
    case clusterSecret

    /// The `info` of HKDF.
    var label: String {
        switch self {
        case .clientToken: "gotunnel/1 client token"
        case .clusterSecret: "gotunnel/1 cluster secret"
        }
    }
}

/// The keys of one token for one purpose, derived by HKDF-SHA-256 (RFC 5869) without a salt; 32 bytes, `info` = the
/// purpose's label.
package struct AuthenticationKey: Sendable {
    package let tokenID: String
    let proofKey: SymmetricKey

    package init(_ token: Token, for purpose: KeyPurpose) {
        self.init(tokenID: token.id, material: token.material, purpose: purpose)
    }

    init(tokenID: String, material: SymmetricKey, purpose: KeyPurpose) {
        self.tokenID = tokenID
        self.proofKey = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: material, info: Array(purpose.label.utf8), outputByteCount: 32)
    }
}

/// What both ends of a session know and nobody else: proof of it is what lets a new link take a session up again.
package struct SessionSecret: Sendable {
    /// In bytes.
    package static let length = 32

    let key: SymmetricKey

    init(_ key: SymmetricKey) { self.key = key }

    /// A secret that one side chose and the other received inside TLS, or one that was frozen; `nil` unless 32 bytes.
    package init?(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes.prefix(SessionSecret.length + 1))
        guard bytes.count == SessionSecret.length else { return nil }
        self.init(SymmetricKey(data: bytes))
    }

    /// A secret from `generator`, which has to be a cryptographic one outside tests. The acceptor chooses it.
    package static func generate(using generator: inout some RandomNumberGenerator) -> SessionSecret {
        SessionSecret(SymmetricKey(data: generator.bytes(length)))
    }

    /// The secret itself, 32 bytes: for sending inside TLS and for a freeze, never for a log.
    package func reveal() -> [UInt8] { key.withUnsafeBytes { Array($0) } }
}

extension AuthenticationKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<key of token \(tokenID)>" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["tokenID": tokenID]) }
}

extension SessionSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<session secret>" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection()) }
}
