/// What text from outside becomes before it may meet a log, a label, a terminal or a reason phrase.
package enum PrintableText {
    /// The longest text that leaves ``sanitize(_:limit:)`` unless told otherwise, in bytes.
    package static let limit = 200

    /// `bytes` as printable ASCII: every other byte becomes `?`, and what exceeds `limit` bytes is cut off and marked with `...`.
    ///
    /// Reads no more than `limit + 1` bytes of the input, however long it is.
    package static func sanitize(_ bytes: some Sequence<UInt8>, limit: Int = PrintableText.limit) -> String {
        var kept = bytes.prefix(limit + 1).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
        if kept.count > limit {
            let mark = Array("...".utf8.prefix(limit))
            kept.replaceSubrange((limit - mark.count)..., with: mark)
        }
        return String(decoding: kept, as: UTF8.self)
    }

    /// ``sanitize(_:limit:)-(Sequence,_)`` of a text's UTF-8.
    package static func sanitize(_ text: some StringProtocol, limit: Int = PrintableText.limit) -> String {
        sanitize(text.utf8, limit: limit)
    }

    /// A name in double quotes, short enough that a sentence with three of them stays within ``limit``.
    static func quoted(_ name: some StringProtocol) -> String {
        "\"" + sanitize(name, limit: 32) + "\""
    }
}
