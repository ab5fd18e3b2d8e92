/// Makes text from outside safe for a log line, a metric label, a terminal or a reason phrase.
///
/// Text from the wire may hold line feeds (a forged log line), escape sequences (a repainted terminal) or megabytes.
/// Everything that leaves here is printable ASCII and short.
package enum SafeText {
    /// The longest value that passes uncut, in bytes.
    package static let limit = 200

    /// `text` with control characters escaped as in C (`\n`, `\x1b`), anything outside ASCII replaced by `?`, and cut at `limit`
    /// bytes.
    ///
    /// A cut value ends in `...`, which counts towards the limit. A backslash is doubled, so that two different texts
    /// never look the same for the sake of an escape.
    package static func escape(_ text: some StringProtocol, limit: Int = SafeText.limit) -> String {
        if isClean(text, limit: limit) { return String(text) }
        var out: [UInt8] = []
        out.reserveCapacity(min(text.utf8.count, limit) + 4)
        for scalar in text.unicodeScalars {
            appendEscaped(scalar, to: &out)
            if out.count > limit { break }
        }
        if out.count > limit {
            let mark = Array("...".utf8.prefix(limit))
            out.removeLast(out.count - (limit - mark.count))
            out += mark
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// `text` for one cell of a table or one plain sentence: as ``escape(_:limit:)``, with backslashes left alone.
    package static func line(_ text: some StringProtocol, limit: Int = SafeText.limit) -> String {
        var out: [UInt8] = []
        for scalar in text.unicodeScalars.prefix(limit + 1) {
            out.append((0x20...0x7E).contains(scalar.value) ? UInt8(scalar.value) : UInt8(ascii: "?"))
        }
        if out.count > limit {
            out.removeLast(out.count - max(0, limit - 3))
            out += Array("...".utf8.prefix(limit))
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// A text of several lines, such as all that is wrong with a configuration: each as ``line(_:limit:)``, at most `count` of
    /// them.
    package static func lines(_ text: some StringProtocol, limit: Int = 1000, count: Int = 30) -> String {
        text.split(separator: "\n").prefix(count).map { line($0, limit: limit) }.joined(separator: "\n")
    }

    private static func isClean(_ text: some StringProtocol, limit: Int) -> Bool {
        var count = 0
        for byte in text.utf8 {
            count += 1
            if count > limit || byte < 0x20 || byte > 0x7E || byte == UInt8(ascii: "\\") { return false }
        }
        return true
    }

    private static func appendEscaped(_ scalar: Unicode.Scalar, to out: inout [UInt8]) {
        switch scalar.value {
        case 0x0A: out += "\\n".utf8
        case 0x0D: out += "\\r".utf8
        case 0x09: out += "\\t".utf8
        case 0x5C: out += "\\\\".utf8
        case 0x20...0x7E: out.append(UInt8(scalar.value))
        case 0..<0x20, 0x7F:
            out += "\\x".utf8
            for nibble in [scalar.value >> 4, scalar.value & 15] {
                out.append(Array("0123456789abcdef".utf8)[Int(nibble)])
            }
        default: out.append(UInt8(ascii: "?"))
        }
    }
}
