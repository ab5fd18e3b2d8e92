/// Text of a configuration file on its way to a terminal or a log: printable ASCII, bounded, never a secret.
package enum PrintableText {
    /// The longest text shown of one value, in bytes.
    static let longestValue = 48

    /// `text` with everything outside printable ASCII as `?`, cut to `limit` bytes (with `...` when cut).
    package static func clean(_ text: String, limit: Int = 200) -> String {
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            if count == limit { return String(result.dropLast(min(3, count))) + "..." }
            result.unicodeScalars.append((0x20...0x7e).contains(scalar.value) ? scalar : "?")
            count += 1
        }
        return result
    }

    /// A value as a message quotes it: in double quotes, bounded, and hidden when it may be a secret put in the wrong place.
    package static func quoted(_ text: String) -> String {
        looksLikeSecret(text) ? "<secret>" : "\"\(clean(text, limit: longestValue))\""
    }

    /// Whether a text has the shape of a token, so that a token written under a wrong key is not repeated in a message.
    package static func looksLikeSecret(_ text: String) -> Bool {
        if text.contains("gt1_") { return true }
        var run = 0
        for byte in text.utf8 {
            let isHex = (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
            run = isHex ? run + 1 : 0
            if run >= 32 { return true }
        }
        return false
    }

    /// The candidate that `word` was probably meant to be: at most a third of its letters differ (swaps count once).
    package static func nearest(to word: String, among candidates: [String]) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        let typed = word.lowercased()
        let allowed = max(1, typed.count / 3)
        var best: (name: String, distance: Int)?
        for candidate in candidates {
            let distance = editDistance(Array(typed.utf8), Array(candidate.utf8))
            if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// Damerau-Levenshtein distance (optimal string alignment): inserts, deletes, replacements and swaps of neighbours.
    static func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var rows = [[Int]](repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
        for i in 0...a.count { rows[i][0] = i }
        for j in 0...b.count { rows[0][j] = j }
        guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
        for i in 1...a.count {
            for j in 1...b.count {
                let replaced = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
                var least = min(replaced, rows[i - 1][j] + 1, rows[i][j - 1] + 1)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { least = min(least, rows[i - 2][j - 2] + 1) }
                rows[i][j] = least
            }
        }
        return rows[a.count][b.count]
    }
}
