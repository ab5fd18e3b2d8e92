import Crypto
import FoundationEssentials

/// A secret that both ends know and that never crosses the wire: a client token or a cluster secret.
///
/// Two forms are strong:
/// - generated: `gt1_<id>_<secret>`, where the id is 8 and the secret 64 lower-case hex digits (256 bits);
/// - at least 64 hex digits, as `openssl rand -hex 32` prints them.
///
/// Both ends take their key material from the text: the hex digits of the secret in lower case, as ASCII. The id names the
/// token on the wire, in logs and in `gotunnelctl token list`; a text without an id of its own gets one derived by SHA-256.
package struct Token: Sendable {
    /// How good a token is.
    package enum Strength: Sendable, Equatable {
        /// `gt1_<id>_<secret>`.
        case generated
        /// 64 hex digits or more.
        case hexDigits
        /// Anything else, taken only where the configuration says `allow_weak_token: true`.
        case weak
    }

    /// 8 lower-case hex digits that name the token; no secret.
    package let id: String
    package let strength: Strength
    /// What every key of this token is derived from.
    let material: SymmetricKey

    /// The longest text taken as a token, in bytes.
    package static let maximumLength = 1024

    /// Reads a token as a file, an environment variable or a configuration key holds it.
    ///
    /// - Parameters:
    ///   - text: the token; one newline at its end (LF or CRLF) is dropped.
    ///   - allowWeak: take a text that is neither of the strong forms.
    package init(_ text: String, allowWeak: Bool = false) throws(TokenError) {
        let text = Token.withoutNewline(text)
        guard !text.isEmpty else { throw .empty }
        guard text.utf8.count <= Token.maximumLength else { throw .tooLong }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw .spaceOrControlCharacter }
        if text.hasPrefix(Token.prefix) {
            self = try Token(generated: text)
        } else if text.utf8.count >= Token.secretDigits, Hex.isOnlyDigits(text) {
            self.init(secret: text.lowercased(), strength: .hexDigits)
        } else if allowWeak {
            self.init(secret: text, strength: .weak)
        } else {
            throw .weak
        }
    }

    /// A new token with 256 bits from `generator`, which has to be a cryptographic one outside tests.
    package static func generate(using generator: inout some RandomNumberGenerator) -> Token {
        Token(id: Hex.text(generator.bytes(4)), secret: Hex.text(generator.bytes(32)), strength: .generated)
    }

    /// The text of the token, for the one place that must show it: `gotunnelctl token new | join`. It is the secret itself.
    package func reveal() -> String {
        let secret = material.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        return strength == .generated ? "\(Token.prefix)\(id)_\(secret)" : secret
    }

    /// Whether both hold the same secret, whatever their ids. Constant-time.
    package func hasSameSecret(as other: Token) -> Bool { material == other.material }

    private static let prefix = "gt1_"
    private static let idDigits = 8
    private static let secretDigits = 64

    private init(id: String, secret: String, strength: Strength) {
        self.id = id
        self.strength = strength
        self.material = SymmetricKey(data: Array(secret.utf8))
    }

    private init(secret: String, strength: Strength) {
        let digest = SHA256.hash(data: Array("gotunnel/1 token id\n\(secret)".utf8))
        self.init(id: Hex.text(digest.prefix(Token.idDigits / 2)), secret: secret, strength: strength)
    }

    private init(generated text: String) throws(TokenError) {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false).dropFirst().map { $0.lowercased() }
        guard parts.count == 2, parts.allSatisfy({ Hex.isOnlyDigits($0) }), parts[0].utf8.count == Token.idDigits,
            parts[1].utf8.count == Token.secretDigits
        else { throw .damaged }
        self.init(id: parts[0], secret: parts[1], strength: .generated)
    }

    private static func withoutNewline(_ text: String) -> String {
        // Swift takes CR LF for one character, so this drops either.
        text.last?.isNewline == true ? String(text.dropLast()) : text
    }
}

extension Token: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Names the token without its secret.
    package var description: String { "<token id=\(id)>" }
    package var debugDescription: String { description }
    /// Keeps the secret out of `dump` and of test reports.
    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

/// Why a text is no token. No message shows any part of the text.
package enum TokenError: Error, Equatable, CustomStringConvertible {
    case empty
    case tooLong
    case spaceOrControlCharacter
    /// It starts like a generated token and is not one: most often cut off when it was copied.
    case damaged
    case weak

    package var description: String {
        switch self {
        case .empty:
            "the token is empty: \(TokenError.mend)"
        case .tooLong:
            "the token is longer than \(Token.maximumLength) bytes: \(TokenError.mend)"
        case .spaceOrControlCharacter:
            "the token contains a space, a line break or a control character: it has to be one word on one line"
        case .damaged:
            "the token starts with gt1_ but is not gt1_<8 hex digits>_<64 hex digits>: copy it again in full, or \(TokenError.mend)"
        case .weak:
            "the token is too weak (neither generated nor 64 hex digits): \(TokenError.mend), or set allow_weak_token: true"
        }
    }

    private static let mend = "make one with `gotunnelctl token new` or `openssl rand -hex 32`"
}
