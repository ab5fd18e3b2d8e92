/// A value with the place it was read from, for checks that compare several.
package struct Found<Value: Sendable>: Sendable {
    package let value: Value
    package let line: Int
    /// The key path.
    package let path: String
}

extension Found: Equatable where Value: Equatable {}

/// Reads one mapping of the file. It remembers which keys it was asked for: `finish` reports the others as unknown.
///
/// Every method returns nil both when the key is absent and when its value is wrong; a wrong one is in the report.
package final class Section {
    package let path: String
    /// The line of the section's key.
    package let line: Int
    package let report: Report
    private let entries: [ConfigNode.Entry]
    private var known: [String] = []

    /// Nil when the node is not a mapping (reported). An empty node counts as an empty mapping.
    package init?(_ node: ConfigNode, path: String, line: Int, report: Report) {
        self.path = path
        self.line = line
        self.report = report
        switch node.content {
        case .mapping(let entries): self.entries = entries
        case .nothing: self.entries = []
        case .text, .list:
            report.problem(
                node.line, path.isEmpty ? nil : path, "expected a mapping (key: value), found \(node.shown)",
                "write its keys below it, indented")
            return nil
        }
        for entry in entries {
            guard let first = entry.firstLine else { continue }
            report.problem(entry.line, keyPath(entry.key), "this key is already on line \(first)", "remove one of the two")
        }
    }

    /// The path of a key of this section; a key that is not a plain word is quoted, a secret hidden.
    package func keyPath(_ key: String) -> String {
        let isPlain =
            !key.isEmpty && !PrintableText.looksLikeSecret(key)
            && key.utf8.allSatisfy { Names.isLetterOrDigit($0) || "_-".utf8.contains($0) }
        let shown = isPlain ? PrintableText.clean(key, limit: 64) : PrintableText.quoted(key)
        return path.isEmpty ? shown : "\(path).\(shown)"
    }

    /// Whether the file has the key, with a value or not.
    package func has(_ key: String) -> Bool { entries.contains { $0.key == key } }

    /// Whether a key has a list with at least one item, good or not.
    package func hasItems(_ key: String) -> Bool {
        guard let entry = entries.last(where: { $0.key == key }), case .list(let items) = entry.value.content else {
            return false
        }
        return !items.isEmpty
    }

    /// The line of a key, or of the section.
    package func line(of key: String) -> Int { entries.first { $0.key == key }?.line ?? line }

    /// The keys of this section, in the file's order.
    package var keys: [String] { entries.map(\.key) }

    private func entry(_ key: String) -> ConfigNode.Entry? {
        if !known.contains(key) { known.append(key) }
        return entries.last { $0.key == key }
    }

    /// The node of a key that has a value, for keys that take more than one form.
    package func node(_ key: String) -> ConfigNode? {
        guard let entry = entry(key), case let value = entry.value else { return nil }
        if case .nothing = value.content { return nil }
        return value
    }

    // MARK: Scalars

    /// The value of a key by a rule, with its place.
    package func found<Value>(_ key: String, _ rule: Rule<Value>) -> Found<Value>? {
        guard let entry = entry(key) else { return nil }
        if case .nothing = entry.value.content {
            report.problem(entry.line, keyPath(key), "it has no value", "write \(key): \(rule.example), or remove the line")
            return nil
        }
        return apply(rule, to: entry.value, path: keyPath(key), mendingAs: "\(key): ")
    }

    /// The value of a key by a rule.
    package func value<Value>(_ key: String, _ rule: Rule<Value>) -> Value? { found(key, rule)?.value }

    private func apply<Value>(_ rule: Rule<Value>, to node: ConfigNode, path: String, mendingAs prefix: String) -> Found<Value>? {
        guard case .text(let text, let quoted) = node.content else {
            report.problem(node.line, path, "expected \(rule.expected), found \(node.shown)", "write \(prefix)\(rule.example)")
            return nil
        }
        switch rule.parse(text, quoted) {
        case .success(let value): return Found(value: value, line: node.line, path: path)
        case .failure(let complaint):
            let wrong = complaint.wrong ?? "expected \(rule.expected), found \(rule.isSecret ? "something else" : node.shown)"
            report.problem(node.line, path, wrong, complaint.mend ?? "write \(prefix)\(complaint.right ?? rule.example)")
            return nil
        }
    }

    // MARK: Lists

    /// The good items of a list; nil when the key is absent (an empty value is an empty list).
    package func list<Value>(_ key: String, _ rule: Rule<Value>, example: String? = nil, most: Int = 1_000) -> [Found<Value>]? {
        guard let items = items(key, example: example ?? "[\(rule.example)]", most: most) else { return nil }
        return items.enumerated().compactMap { index, node in
            apply(rule, to: node, path: "\(keyPath(key))[\(index)]", mendingAs: "")
        }
    }

    /// As `list`, for a key that also takes one value without brackets.
    package func oneOrMore<Value>(_ key: String, _ rule: Rule<Value>, most: Int = 1_000) -> [Found<Value>]? {
        if let entry = entry(key), case .list = entry.value.content { return list(key, rule, most: most) }
        return found(key, rule).map { [$0] }
    }

    private func items(_ key: String, example: String, most: Int) -> [ConfigNode]? {
        guard let entry = entry(key) else { return nil }
        switch entry.value.content {
        case .nothing: return []
        case .list(let items) where items.count <= most: return items
        case .list(let items):
            report.problem(entry.line, keyPath(key), "expected at most \(most) items, found \(items.count)", "remove some")
            return []
        case .text, .mapping:
            report.problem(
                entry.value.line, keyPath(key), "expected a list, found \(entry.value.shown)", "write \(key): \(example)")
            return nil
        }
    }

    // MARK: Sections within

    /// The mapping under a key; nil when absent or not a mapping.
    package func section(_ key: String) -> Section? {
        guard let entry = entry(key) else { return nil }
        return Section(entry.value, path: keyPath(key), line: entry.line, report: report)
    }

    /// The mappings of a list; nil when the key is absent.
    package func sections(_ key: String, example: String, most: Int = 1_000) -> [Section]? {
        guard let items = items(key, example: "[\(example)]", most: most) else { return nil }
        return items.enumerated().compactMap { index, node in
            let path = "\(keyPath(key))[\(index)]"
            if case .mapping = node.content { return Section(node, path: path, line: node.line, report: report) }
            report.problem(node.line, path, "expected a mapping, found \(node.shown)", "write \(example)")
            return nil
        }
    }

    /// Every entry of this section as a section of its own, for mappings whose keys are names that the user chose.
    package func named() -> [(key: Found<String>, section: Section)] {
        known = entries.map(\.key)
        return entries.filter { $0.firstLine == nil }.compactMap { entry in
            let path = keyPath(entry.key)
            guard let section = Section(entry.value, path: path, line: entry.line, report: report) else { return nil }
            return (Found(value: entry.key, line: entry.line, path: path), section)
        }
    }

    // MARK: The end

    /// Reports every key that nothing asked for. `elsewhere` names a better place for a key, if there is one.
    package func finish(elsewhere: (String) -> String? = { _ in nil }) {
        let present = Set(entries.map(\.key))
        let candidates = known.filter { !present.contains($0) }
        for entry in entries where !known.contains(entry.key) {
            let mend: String
            if report.isFull {
                // It is only counted from here on: guessing what 100 000 keys were meant to be would take minutes.
                mend = "remove it"
            } else if entry.key == "<<" {
                mend = "write the keys out: YAML merges are not supported"
            } else if let near = PrintableText.nearest(to: entry.key, among: candidates) {
                mend = "did you mean \(near)?"
            } else if let place = elsewhere(entry.key) {
                mend = "write it under \(place)"
            } else {
                mend = "known here: \(known.sorted().joined(separator: ", "))"
            }
            report.problem(entry.line, keyPath(entry.key), "unknown key", mend)
        }
    }
}

extension Report {
    /// Reports each value that an earlier one of the list equals, or collides with.
    package func duplicates<Value>(_ found: [Found<Value>], what: String, mend: String, same: (Value, Value) -> Bool) {
        // Lists are short (at most 1000, by the section reader), so comparing all pairs is cheap.
        for (index, later) in found.enumerated() {
            guard let earlier = found[..<index].first(where: { same($0.value, later.value) }) else { continue }
            problem(
                later.line, later.path, "\(what) \(later.value) is already used by \(earlier.path) on line \(earlier.line)", mend)
        }
    }
}
