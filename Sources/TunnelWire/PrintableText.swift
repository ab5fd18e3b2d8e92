import NIOCore

/// Text from the wire before it meets a log, a label, a terminal or an HTTP reason phrase.
package enum PrintableText {
    /// Printable ASCII of at most `limit` bytes; every other byte becomes `?`.
    package static func clean(_ text: some StringProtocol, limit: Int = Limits.text) -> String {
        self.clean(text.utf8, limit: limit)
    }

    /// Printable ASCII of at most `limit` bytes; every other byte becomes `?`.
    package static func clean(_ bytes: some Sequence<UInt8>, limit: Int = Limits.text) -> String {
        var kept: [UInt8] = []
        for byte in bytes.prefix(limit) {
            kept.append((0x20...0x7E).contains(byte) ? byte : UInt8(ascii: "?"))
        }
        return String(decoding: kept, as: UTF8.self)
    }
}

/// Names of servers, clients, services and exposures as they travel: RFC 1123, lower case.
package enum WireName {
    /// Whether `name` is a lower-case RFC 1123 host name: labels of letters, digits and inner hyphens, at most
    /// 63 bytes each and 253 in all.
    package static func isValid(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= Limits.name else { return false }
        for label in name.split(separator: ".", omittingEmptySubsequences: false) {
            guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-" else { return false }
            let isAllowed = { (byte: UInt8) in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
            }
            guard label.utf8.allSatisfy(isAllowed) else { return false }
        }
        return true
    }
}
