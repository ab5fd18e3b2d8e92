/// Numbers as people read them in tables; JSON keeps the exact ones.
package enum HumanText {
    /// Bytes in binary units with three digits or so: `0 B`, `812 B`, `1.5 KiB`, `340 MiB`.
    package static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var value = Double(max(0, count))
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        if unit == 0 { return "\(Int(value)) B" }
        return value < 10 ? "\((value * 10).rounded(.down) / 10) \(units[unit])" : "\(Int(value)) \(units[unit])"
    }

    /// A span in its two largest units: `0s`, `59s`, `4m10s`, `3h02m`, `12d03h`.
    package static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite else { return "-" }
        let total = Int64(max(0, min(seconds, 1e12)))
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        switch total {
        case ..<60: return "\(total)s"
        case ..<3600: return "\(total / 60)m\(two(total % 60))s"
        case ..<86_400: return "\(total / 3600)h\(two(total / 60 % 60))m"
        default: return "\(total / 86_400)d\(two(total / 3600 % 24))h"
        }
    }

    /// A round trip: `0.42 ms`, `12.3 ms`, `1.20 s`; `-` when unknown.
    package static func roundTrip(_ seconds: Double?) -> String {
        guard let seconds, seconds.isFinite, seconds >= 0 else { return "-" }
        if seconds >= 1 { return fixed(min(seconds, 1e9), 2) + " s" }
        let milliseconds = seconds * 1000
        return fixed(milliseconds, milliseconds < 1 ? 2 : 1) + " ms"
    }

    /// `value` with `digits` decimals.
    private static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale: Int64 = digits == 1 ? 10 : 100
        let scaled = Int64((value * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        return "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}
