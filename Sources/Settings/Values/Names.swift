/// Names of servers, clients, services and exposures: RFC 1123, lower-cased.
package enum Names {
    /// The longest name of a process, in bytes: it must fit whole wherever text from outside is bounded.
    package static let longest = 200

    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
    }

    /// The lower-cased name of a server or client (labels joined by dots, as in a host's full name), or nil when it is none.
    package static func processName(_ text: String) -> String? {
        guard text.utf8.count <= longest,
            text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy({ label(String($0)) != nil })
        else { return nil }
        return text.lowercased()
    }

    /// The lower-cased name of a service or an exposure (one label of at most 63 bytes), or nil when it is none.
    package static func label(_ text: String) -> String? {
        guard (1...63).contains(text.utf8.count), text.first != "-", text.last != "-",
            text.utf8.allSatisfy({ isLetterOrDigit($0) || $0 == UInt8(ascii: "-") })
        else { return nil }
        return text.lowercased()
    }

    /// The nearest valid name, for a message: `My_Worker` becomes `my-worker`.
    static func suggestion(for text: String) -> String {
        if PrintableText.looksLikeSecret(text) { return "worker-1" }
        let mapped = text.lowercased().unicodeScalars.map { scalar -> Character in
            guard scalar.isASCII, isLetterOrDigit(UInt8(scalar.value)) else { return "-" }
            return Character(scalar)
        }
        let trimmed = String(mapped.prefix(60)).split(separator: "-").joined(separator: "-")
        return trimmed.isEmpty ? "worker-1" : trimmed
    }
}

/// A pattern of names: letters, digits, hyphens and dots, `*` for any run of them.
package struct NamePattern: Sendable, Hashable, CustomStringConvertible {
    /// The pattern, lower-cased.
    package let text: String

    /// The pattern of a text such as `k8s-*`, or nil.
    package init?(_ text: String) {
        guard (1...Names.longest).contains(text.utf8.count),
            text.utf8.allSatisfy({ Names.isLetterOrDigit($0) || "-.*".utf8.contains($0) })
        else { return nil }
        self.text = text.lowercased()
    }

    /// Whether it is one name, without a star.
    package var isExact: Bool { !text.utf8.contains(UInt8(ascii: "*")) }

    /// The pattern, lower-cased.
    package var description: String { text }
}

/// Ports from `first` to `last`, both included, as in `20000-20999`.
package struct PortRange: Sendable, Hashable, CustomStringConvertible {
    /// The lowest port.
    package let first: Int
    /// The highest port, not below `first`.
    package let last: Int

    /// The range of a text such as `20000-20999` or `20000`, within 1 to 65535; or nil.
    package init?(_ text: String) {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { part in
            part.utf8.count <= 5 && part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(part) : nil
        }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first >= 1, last <= 65_535,
            first <= last
        else { return nil }
        self.first = first
        self.last = last
    }

    /// For constants of this module.
    init(unchecked first: Int, _ last: Int) {
        self.first = first
        self.last = last
    }

    /// `20000-20999`, or one port; parsing gives it back.
    package var description: String { first == last ? "\(first)" : "\(first)-\(last)" }
}

/// SHA-256 of a server's leaf certificate (DER), by which a client knows the server.
package struct CertificatePin: Sendable, Hashable, CustomStringConvertible {
    /// 32 bytes.
    package let bytes: [UInt8]

    /// The pin of 64 hex digits, which colons may part (as OpenSSL prints them); or nil.
    package init?(_ text: String) {
        let digits = text.utf8.filter { $0 != UInt8(ascii: ":") }.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        let colons = text.utf8.count { $0 == UInt8(ascii: ":") }
        guard digits.count == 64, text.utf8.count == 64 + colons, colons <= 31 else { return nil }
        bytes = stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// 64 lower-case hex digits.
    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
