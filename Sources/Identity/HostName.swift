/// The names of clients, servers, services, exposures and clusters: RFC 1123 host names in lower case.
package enum HostName {
    /// In bytes (RFC 1035, 2.3.4).
    package static let maximumLength = 253

    /// Whether `name` is 1 to 253 bytes of labels separated by dots, each 1 to 63 lower-case letters, digits and hyphens, and
    /// beginning and ending with a letter or a digit.
    package static func isValid(_ name: some StringProtocol) -> Bool {
        guard (1...maximumLength).contains(name.utf8.count) else { return false }
        return Array(name.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy(isLabel)
    }

    static func check(_ name: String, what: String) throws(IdentityProblem) {
        guard isValid(name) else {
            throw IdentityProblem(
                .badName, at: PrintableText.quoted(name), "is not a valid \(what)",
                mend: "use lower-case letters, digits, hyphens and dots (RFC 1123)")
        }
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        let hyphen = UInt8(ascii: "-")
        guard (1...63).contains(label.count), label.first != hyphen else { return false }
        var last = hyphen
        for byte in label {
            let isLetterOrDigit =
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            guard isLetterOrDigit || byte == hyphen else { return false }
            last = byte
        }
        return last != hyphen
    }
}
