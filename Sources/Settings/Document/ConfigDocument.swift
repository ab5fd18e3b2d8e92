import Yams

/// Turns the text of a configuration file into `ConfigNode`s, bounded in size, depth and in what aliases can multiply.
package struct ConfigDocument {
    /// The deepest nesting accepted; a real configuration has six levels.
    static let deepest = 32
    /// The most parts, counted after aliases are followed.
    static let mostNodes = 50_000
    /// The most YAML aliases. With ten, a file can grow at most forty times while it is being composed.
    static let mostAliases = 10
    /// Put before a key that repeats an earlier one, so that the library accepts the mapping and the decoder can name both.
    private static let duplicateMark = "gotunnel-duplicate-key-"

    /// The root, or nil when the file cannot be read as YAML (the report says why).
    package static func parse(_ original: String, report: Report) -> ConfigNode? {
        let text = normalised(original)
        if let line = lineOfAliasTooMany(text) {
            report.problem(line, nil, "more than \(mostAliases) YAML aliases (*name)", "write the values out")
            return nil
        }
        guard let root = compose(text, report: report) else { return nil }
        var converter = Converter(report: report)
        return converter.convert(root, line: 1, depth: 0)
    }

    /// The text without a byte order mark and with plain line ends, so that line and column count alike here and in the library.
    private static func normalised(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var previous: Unicode.Scalar = " "
        for (index, scalar) in text.unicodeScalars.enumerated() {
            defer { previous = scalar }
            if index == 0, scalar == "\u{feff}" { continue }
            if scalar == "\n", previous == "\r" { continue }
            result.append(scalar == "\r" ? "\n" : scalar)
        }
        return String(result)
    }

    /// Composes the tree. The library stops at the first repeated key with neither its path nor the second line, so the first
    /// of such a pair is marked in the text and the whole is composed again: every repetition is found, with its path.
    private static func compose(_ original: String, report: Report) -> Node? {
        var text = original
        for _ in 0..<Report.limit {
            do {
                guard let node = try Yams.compose(yaml: text, .basic, .default, .utf8) else {
                    report.problem(
                        1, nil, "the file holds no settings", "start from gotunnelctl config example server (or client)")
                    return nil
                }
                return node
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                let key = keys.first ?? ""
                guard let marked = marking(key, line: context.mark.line, column: context.mark.column, in: text) else {
                    report.problem(context.mark.line, PrintableText.quoted(key), "this key is written twice", "remove one")
                    return nil
                }
                text = marked
            } catch {
                let trouble = SyntaxTrouble(error)
                report.problem(trouble.line ?? 1, nil, "not valid YAML: \(trouble.text)", trouble.mend)
                return nil
            }
        }
        report.problem(1, nil, "more than \(Report.limit) keys are written twice", "remove the repetitions")
        return nil
    }

    /// `text` with the mark put before the key at a place (from 1, columns counted in Unicode scalars); nil when the key does
    /// not stand there as plain or quoted text.
    private static func marking(_ key: String, line: Int, column: Int, in text: String) -> String? {
        // Composing again for each repetition is for files that people write; a huge one gets its first repetition named.
        guard text.utf8.count <= 64 << 10 else { return nil }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard line >= 1, line <= lines.count, column >= 1 else { return nil }
        let scalars = Array(lines[line - 1].unicodeScalars)
        guard column <= scalars.count else { return nil }
        let isQuoted = scalars[column - 1] == "\"" || scalars[column - 1] == "'"
        let start = isQuoted ? column : column - 1
        guard scalars[start...].starts(with: Array(key.unicodeScalars)) else { return nil }
        // A number makes each mark unique: a key may stand there three times.
        var changed = String.UnicodeScalarView(scalars[..<start])
        changed.append(contentsOf: "\(duplicateMark)\(line)-\(column)-".unicodeScalars)
        changed.append(contentsOf: scalars[start...])
        lines[line - 1] = String(changed)
        return lines.joined(separator: "\n")
    }

    /// The key without the mark of a repetition, and whether it bore one.
    fileprivate static func unmarked(_ key: String) -> (key: String, wasMarked: Bool) {
        guard key.hasPrefix(duplicateMark) else { return (key, false) }
        var rest = key.dropFirst(duplicateMark.count)
        for _ in 0..<2 {
            guard let dash = rest.firstIndex(of: "-") else { return (key, false) }
            rest = rest[rest.index(after: dash)...]
        }
        return (String(rest), true)
    }

    /// The line of the first alias beyond the limit. It counts more than YAML would (in comments, in quoted text), never fewer:
    /// the library follows aliases while it looks for repeated keys, so the bound must hold before it is called.
    private static func lineOfAliasTooMany(_ text: String) -> Int? {
        var line = 1
        var seen = 0
        var previous: UInt8 = 0x0a
        var starIsOpen = false
        for byte in text.utf8 {
            if starIsOpen, isAnchorByte(byte) { seen += 1 }
            if seen > mostAliases { return line }
            starIsOpen = byte == UInt8(ascii: "*") && " \t\r\n[{,:-?!".utf8.contains(previous)
            if byte == 0x0a { line += 1 }
            previous = byte
        }
        return nil
    }

    private static func isAnchorByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
            || (0x61...0x7a).contains(byte)
    }
}

extension ConfigDocument {
    /// Converts the library's tree, counting parts so that aliases cannot multiply them without bound.
    private struct Converter {
        let report: Report
        var nodes = 0

        mutating func convert(_ node: Node, line: Int, depth: Int) -> ConfigNode? {
            nodes += 1
            let line = node.mark?.line ?? line
            guard depth <= deepest, nodes <= mostNodes else {
                report.problem(
                    line, nil, "the file is nested too deeply or holds too much", "compare it with gotunnelctl config example")
                return nil
            }
            switch node {
            case .scalar(let scalar): return convert(scalar, line: line)
            case .sequence(let sequence):
                var items: [ConfigNode] = []
                for item in sequence {
                    guard let converted = convert(item, line: line, depth: depth + 1) else { return nil }
                    items.append(converted)
                }
                return ConfigNode(content: .list(items), line: line)
            case .mapping(let mapping): return convert(mapping, line: line, depth: depth)
            case .alias:
                report.problem(line, nil, "a YAML alias that points nowhere", "write the value out")
                return nil
            }
        }

        private func convert(_ scalar: Node.Scalar, line: Int) -> ConfigNode {
            let isPlain = scalar.style == .plain || scalar.style == .any
            if isPlain, ["", "~", "null", "Null", "NULL"].contains(scalar.string) {
                return ConfigNode(content: .nothing, line: line)
            }
            return ConfigNode(content: .text(scalar.string, quoted: !isPlain), line: line)
        }

        private mutating func convert(_ mapping: Node.Mapping, line: Int, depth: Int) -> ConfigNode? {
            var entries: [ConfigNode.Entry] = []
            // A marked key is the earlier one of its pair; the later one, unmarked, is reported and names it.
            var marked: [String: Int] = [:]
            for (key, value) in mapping {
                guard case .scalar(let scalar) = key else {
                    report.problem(key.mark?.line ?? line, nil, "a key that is a list or a mapping", "keys are plain words")
                    return nil
                }
                let (name, wasMarked) = unmarked(scalar.string)
                let keyLine = scalar.mark?.line ?? line
                guard let converted = convert(value, line: keyLine, depth: depth + 1) else { return nil }
                entries.append(.init(key: name, line: keyLine, value: converted, firstLine: marked[name]))
                if wasMarked, marked[name] == nil { marked[name] = keyLine }
            }
            return ConfigNode(content: .mapping(entries), line: line)
        }
    }
}
