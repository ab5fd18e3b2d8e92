/// Something wrong with a configuration, as one line: where, what, and how to mend it.
package struct Problem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file as the user named it.
    package let file: String
    /// The line, from 1; nil when the trouble is with the file as a whole.
    package let line: Int?
    /// The key path, such as `client.exposures[1].target`; nil when no key is to blame.
    package let key: String?
    /// What is wrong.
    package let wrong: String
    /// How to mend it.
    package let mend: String

    /// A problem of a file; `line` and `key` only where they apply.
    package init(file: String, line: Int?, key: String?, wrong: String, mend: String) {
        self.file = file
        self.line = line
        self.key = key
        self.wrong = wrong
        self.mend = mend
    }

    /// `FILE:LINE: KEY.PATH: what is wrong; how to mend it`, without the parts that do not apply.
    package var rendered: String {
        let place = line.map { "\(PrintableText.clean(file)):\($0)" } ?? PrintableText.clean(file)
        return ([place] + (key.map { [$0] } ?? []) + ["\(wrong); \(mend)"]).joined(separator: ": ")
    }

    /// The same as `rendered`.
    package var description: String { rendered }
}

/// Something to say once at start although the configuration is accepted: a difference from the original gotunnel, or a key
/// that has no effect in this version.
package struct Notice: Sendable, Equatable, CustomStringConvertible {
    /// The file as the user named it.
    package let file: String
    /// The line, from 1.
    package let line: Int
    /// The key path.
    package let key: String
    /// What to know, in one line.
    package let text: String

    /// `FILE:LINE: KEY.PATH: text`.
    package var rendered: String { "\(PrintableText.clean(file)):\(line): \(key): \(text)" }

    /// The same as `rendered`.
    package var description: String { rendered }
}

/// A configuration that cannot be used: every problem found in it, in the order of its lines. Exit code 78.
package struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one problem, at most `Report.limit`.
    package let problems: [Problem]
    /// How many further problems were found and left out.
    package let omitted: Int

    /// An error of these problems, with the number of those left out.
    package init(_ problems: [Problem], omitted: Int = 0) {
        self.problems = problems
        self.omitted = omitted
    }

    /// One line for each problem, and one that counts those left out.
    package var lines: [String] {
        let more = omitted > 0 ? ["\(problems.first?.file ?? "config"): \(omitted) more problems; mend these first"] : []
        return problems.map(\.rendered) + more
    }

    /// All lines, one below the other.
    package var description: String { lines.joined(separator: "\n") }
}

/// Collects what a file's decoding finds. A class, because every reader of a part of the file adds to the same list.
package final class Report {
    /// The most problems kept of one file.
    static let limit = 20

    package let file: String
    package private(set) var problems: [Problem] = []
    private(set) var notices: [Notice] = []

    /// How many were found, kept or not: a file of 1 MiB can hold 100 000.
    private(set) var count = 0

    package init(file: String) {
        self.file = file
    }

    /// Whether further problems are only counted. The bound is above `limit`, since problems come in another order than lines.
    var isFull: Bool { problems.count >= 1_000 }

    package func problem(_ line: Int, _ key: String?, _ wrong: String, _ mend: String) {
        count += 1
        guard !isFull else { return }
        problems.append(Problem(file: file, line: line, key: key, wrong: wrong, mend: mend))
    }

    package func notice(_ line: Int, _ key: String, _ text: String) {
        guard notices.count < 50 else { return }
        notices.append(Notice(file: file, line: line, key: key, text: text))
    }

    /// Throws all that was found, in the order of lines; returns when nothing was.
    package func throwIfAnything() throws(SettingsError) {
        guard count > 0 else { return }
        let ordered = problems.enumerated().sorted { ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset) }
        throw SettingsError(ordered.prefix(Self.limit).map(\.element), omitted: max(0, count - Self.limit))
    }
}
