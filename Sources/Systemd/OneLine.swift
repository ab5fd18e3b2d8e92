/// Text that is shown by systemctl or kept by the journal: one line of printable ASCII.
enum OneLine {
    /// The longest text that passes uncut, in bytes.
    static let limit = 200

    /// Everything outside printable ASCII becomes `?`, a line feed a space: a status text must not smuggle in a line of its own,
    /// which systemd would read as another assignment.
    static func clean(_ text: some StringProtocol, limit: Int = OneLine.limit) -> String {
        var kept: [UInt8] = []
        for scalar in text.unicodeScalars.prefix(limit + 1) {
            switch scalar.value {
            case 0x20...0x7E: kept.append(UInt8(scalar.value))
            case 0x0A: kept.append(UInt8(ascii: " "))
            default: kept.append(UInt8(ascii: "?"))
            }
        }
        if kept.count > limit {
            kept.removeLast(kept.count - max(0, limit - 3))
            kept += Array("...".utf8.prefix(limit))
        }
        return String(decoding: kept, as: UTF8.self)
    }
}
