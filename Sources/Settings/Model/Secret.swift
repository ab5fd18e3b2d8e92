/// A token or cluster secret. It never shows in a description, a dump or an error; only `reveal` gives the text.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    /// Hides a text.
    package init(_ text: String) {
        self.text = text
    }

    /// The text itself, for deriving keys and nothing else.
    package func reveal() -> String { text }

    /// Never the text.
    package var description: String { "<secret>" }
    /// Never the text.
    package var debugDescription: String { "<secret>" }
    /// Nothing: a dump shows no parts.
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Whether it is strong enough to authenticate with: made by `gotunnelctl token new` (`gt1_<id>_<256 bits>`), or at least 64
    /// hex digits (`openssl rand -hex 32`). Length and shape only: entropy cannot be seen in a text.
    package var isStrong: Bool {
        if text.hasPrefix("gt1_") {
            let parts = text.dropFirst(4).split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
            return parts.count == 2 && !parts[0].isEmpty && parts[1].utf8.count >= 43
        }
        return text.utf8.count >= 64 && text.utf8.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
    }
}

/// Where a secret comes from. Only `inline` holds it; a file is read when the secret is needed, and again on a reload.
package enum SecretSource: Sendable, Hashable {
    /// Written in the configuration.
    case inline(Secret)
    /// In a file of its own.
    case file(String)
    /// In `$GOTUNNEL_TOKEN`.
    case environment

    /// The variable of `.environment`. The executable unsets it once the secret was read.
    package static let variable = "GOTUNNEL_TOKEN"
    /// The largest secret file, in bytes.
    static let largestFile = 4_096

    /// The secret, without white space around it. Throws what is wrong with the file or the variable, never the text.
    package func read(in surroundings: Surroundings) throws(SecretTrouble) -> Secret {
        switch self {
        case .inline(let secret): return secret
        case .environment:
            guard let text = surroundings.variable(Self.variable) else {
                throw SecretTrouble(wrong: "$\(Self.variable) is not set", mend: "set it, or name a token_file")
            }
            return try Self.checked(Array(text.utf8), from: "$\(Self.variable)")
        case .file(let path):
            return try Self.checked(
                Self.privateBytes(path, in: surroundings, limit: Self.largestFile), from: PrintableText.clean(path))
        }
    }

    /// The bytes of a file that only its owner (or, below `$CREDENTIALS_DIRECTORY`, systemd) lets be read.
    static func privateBytes(_ path: String, in surroundings: Surroundings, limit: Int) throws(SecretTrouble) -> [UInt8] {
        let shown = PrintableText.looksLikeSecret(path) ? "a file" : PrintableText.clean(path)
        let contents: FileContents
        do {
            contents = try surroundings.files.read(path, limit: limit)
        } catch {
            throw SecretTrouble(wrong: "cannot read \(shown): \(error)", mend: error.mend)
        }
        if contents.isReadableByOthers, !isCredential(path, in: surroundings) {
            throw SecretTrouble(wrong: "\(shown) is readable by others than its owner", mend: "run chmod 600 \(shown)")
        }
        return contents.bytes
    }

    /// Whether a path lies below `$CREDENTIALS_DIRECTORY`, whose files systemd guards by other means than their modes.
    private static func isCredential(_ path: String, in surroundings: Surroundings) -> Bool {
        guard let directory = surroundings.variable("CREDENTIALS_DIRECTORY"), directory.hasPrefix("/") else { return false }
        let steps = path.split(separator: "/")
        return path.hasPrefix("/") && !steps.contains("..") && steps.starts(with: directory.split(separator: "/"))
    }

    private static func checked(_ bytes: [UInt8], from place: String) throws(SecretTrouble) -> Secret {
        let blank: Set<UInt8> = [0x20, 0x09, 0x0a, 0x0d]
        let text = bytes.drop { blank.contains($0) }.reversed().drop { blank.contains($0) }.reversed()
        guard !text.isEmpty else { throw SecretTrouble(wrong: "\(place) is empty", mend: "run gotunnelctl token new") }
        guard text.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw SecretTrouble(
                wrong: "\(place) holds more than one word, or bytes that are not printable",
                mend: "keep the secret alone in it, on one line")
        }
        return Secret(String(decoding: text, as: UTF8.self))
    }
}

/// Why a secret cannot be had; never holds a part of it.
package struct SecretTrouble: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    package let wrong: String
    /// How to mend it.
    package let mend: String

    /// Both, in one line.
    package var description: String { "\(wrong); \(mend)" }
}
