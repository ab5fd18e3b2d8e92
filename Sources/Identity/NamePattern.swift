/// A name, or a glob for names: `*` stands for any run of characters, the empty one included (`k8s-*`, `*.example.org`).
package struct NamePattern: Sendable, Hashable, CustomStringConvertible {
    /// The pattern in lower case, as names are.
    package let description: String
    private let bytes: [UInt8]

    /// Matches every name.
    package static let any = NamePattern(unchecked: "*")

    /// - Parameter text: 1 to 253 letters, digits, hyphens, dots and stars.
    package init(_ text: String) throws(NamePatternError) {
        let pattern = text.lowercased()
        guard (1...HostName.maximumLength).contains(pattern.utf8.count), pattern.utf8.allSatisfy(Self.isAllowed) else {
            throw NamePatternError(text: PrintableText.sanitize(text, limit: 64))
        }
        self.init(unchecked: pattern)
    }

    /// Whether the whole of `name` fits. At most (length of the pattern) × (length of the name) steps, without recursion:
    /// only the latest star is ever tried again, because an earlier one that takes more can never help.
    package func matches(_ name: some StringProtocol) -> Bool {
        let name = Array(name.utf8)
        var inName = 0
        var inPattern = 0
        var retry: (afterStar: Int, inName: Int)?
        while inName < name.count {
            if inPattern < bytes.count, bytes[inPattern] == Self.star {
                inPattern += 1
                retry = (inPattern, inName)
            } else if inPattern < bytes.count, bytes[inPattern] == name[inName] {
                inPattern += 1
                inName += 1
            } else if let star = retry {
                // The star takes one byte more, and what follows it is tried again from there.
                retry = (star.afterStar, star.inName + 1)
                inPattern = star.afterStar
                inName = star.inName + 1
            } else {
                return false
            }
        }
        return bytes[inPattern...].allSatisfy { $0 == Self.star }
    }

    private static let star = UInt8(ascii: "*")

    private init(unchecked text: String) {
        description = text
        bytes = Array(text.utf8)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."), star: true
        default: false
        }
    }
}

/// A text that is no pattern for names.
package struct NamePatternError: Error, Equatable, CustomStringConvertible {
    /// Printable.
    package let text: String

    package var description: String {
        "\"\(text)\" is not a pattern for names: use letters, digits, hyphens, dots and *, at most \(HostName.maximumLength) of them"
    }
}
