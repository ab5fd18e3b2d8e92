/// Durations as the configuration writes them: `500ms`, `2s`, `1m`, `24h`.
package enum DurationText {
    /// The units, largest first, in milliseconds.
    private static let units: [(suffix: String, milliseconds: Int)] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]

    /// The duration of a text such as `500ms`, or nil. A bare number means seconds where `bareSeconds` says so: the original
    /// gotunnel's keys were whole seconds. At most nine digits, so nothing overflows.
    package static func parse(_ text: String, bareSeconds: Bool = false) -> Duration? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        guard !digits.isEmpty, digits.count <= 9, let number = Int(String(digits) ?? "") else { return nil }
        let suffix = String(text.utf8.dropFirst(digits.count)) ?? ""
        if suffix.isEmpty { return bareSeconds ? .seconds(number) : (number == 0 ? .zero : nil) }
        return units.first { $0.suffix == suffix }.map { .milliseconds(number * $0.milliseconds) }
    }

    /// The shortest exact text of a duration of whole milliseconds; `parse` gives it back.
    package static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = Int(clamping: seconds).multipliedReportingOverflow(by: 1_000)
        guard !overflow else { return "\(seconds)s" }
        let milliseconds = whole + Int(attoseconds / 1_000_000_000_000_000)
        if milliseconds == 0 { return "0s" }
        for unit in units where milliseconds.isMultiple(of: unit.milliseconds) {
            return "\(milliseconds / unit.milliseconds)\(unit.suffix)"
        }
        return "\(milliseconds)ms"
    }
}
