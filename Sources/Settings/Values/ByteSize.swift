/// Sizes as the configuration writes them: `64KiB`, `16MiB`, `2GiB`, or a bare number of bytes.
package enum ByteSize {
    private static let units: [(suffix: String, bytes: Int)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

    /// The bytes of a text such as `16MiB`, or nil. At most twelve digits, and a product beyond `Int` is refused.
    package static func parse(_ text: String) -> Int? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        guard !digits.isEmpty, digits.count <= 12, let number = Int(String(digits) ?? "") else { return nil }
        let suffix = String(text.utf8.dropFirst(digits.count)) ?? ""
        if suffix.isEmpty { return number }
        guard let unit = units.first(where: { $0.suffix == suffix }) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
        return overflow ? nil : bytes
    }

    /// The shortest exact text; `parse` gives it back.
    package static func format(_ bytes: Int) -> String {
        guard bytes > 0, let unit = units.first(where: { bytes.isMultiple(of: $0.bytes) }) else { return "\(bytes)" }
        return "\(bytes / unit.bytes)\(unit.suffix)"
    }
}
