import Foundation
import Settings

/// Reads a scenario from its file. Whatever is wrong comes as one `SettingsError` with a line for each problem: where, what, and
/// how to mend it.
package enum ScenarioReader {
    private static let largest = 64 << 10

    /// All scenarios of a folder, in the order of their names.
    package static func names(in folder: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
                .map { String($0.dropLast(".yaml".count)) }.sorted()
        } catch {
            throw Problem(
                file: folder, line: nil, key: nil, wrong: "there are no scenarios here",
                mend: "name their folder with --scenarios")
        }
    }

    /// - Parameter path: the file's; its name without the ending is the scenario's.
    package static func read(path: String) throws -> Scenario {
        guard let data = FileManager.default.contents(atPath: path), data.count <= self.largest else {
            throw Problem(
                file: path, line: nil, key: nil, wrong: "there is no such scenario (a file of at most 64 KiB)",
                mend: "gotunnel-chaos list names them")
        }
        let file = path.split(separator: "/").last ?? ""
        let name = file.hasSuffix(".yaml") ? file.dropLast(".yaml".count) : file
        return try self.read(text: String(decoding: data, as: UTF8.self), name: String(name), file: path)
    }

    package static func read(text: String, name: String, file: String) throws(SettingsError) -> Scenario {
        let report = Report(file: file)
        var scenario = Scenario(name: name, title: "")
        if let root = ConfigDocument.parse(text, report: report), let section = Section(root, path: "", line: 1, report: report) {
            scenario = self.scenario(section, name: name)
        }
        try report.throwIfAnything()
        return scenario
    }

    private static func scenario(_ section: Section, name: String) -> Scenario {
        var scenario = Scenario(name: name, title: section.value("title", .line) ?? "")
        if !section.has("title") {
            section.report.problem(1, "title", "a scenario needs a title", "write title: what it rehearses")
        }
        if let stage = section.section("stage") { scenario.stage = StageReader.read(stage) }
        if let traffic = section.section("traffic") { scenario.traffic = TrafficReader.read(traffic) }
        scenario.duration = section.value("duration", .time) ?? scenario.duration
        scenario.warmup = section.value("warmup", .time) ?? scenario.warmup
        var places: [String] = []
        for fault in section.sections("faults", example: "{do: kill, who: leader, every: 5s, for: 1s}") ?? [] {
            guard let plan = FaultReader.read(fault) else { continue }
            scenario.faults.append(plan)
            places.append(fault.path)
        }
        scenario.promises = PromiseReader.read(section)
        scenario.settle = section.value("settle", .time) ?? self.settle(scenario)
        section.finish()
        WholeCheck(scenario: scenario, report: section.report, line: section.line(of:)).check(places)
        return scenario
    }

    /// Long enough to see whether all agree in time.
    private static func settle(_ scenario: Scenario) -> Duration {
        var settle = scenario.settle
        for case .agreement(let limit) in scenario.promises { settle = max(settle, limit) }
        return settle
    }
}

extension Rule where Value == String {
    /// A line of text.
    static let line = Rule("a line of text", example: "The leader is killed every 5 s") { text in
        (1...200).contains(text.utf8.count) && !text.contains("\n") ? text : nil
    }
}

extension Rule where Value == Duration {
    static let time = duration(.milliseconds(1)...(.seconds(86_400)), example: "5s")
}

extension Rule where Value == ClosedRange<Duration> {
    /// A duration, or two with dots between.
    static let times = Rule("a duration, or a range such as 2s..4s", example: "2s..4s") { text in
        let words =
            text.contains("..") ? text.split(separator: "..", maxSplits: 1, omittingEmptySubsequences: false) : [text[...]]
        let parts = words.compactMap { DurationText.parse(String($0)) }
        guard parts.count == words.count, let first = parts.first, let last = parts.last, first <= last,
            last <= .seconds(86_400)
        else { return nil }
        return first...last
    }
}

extension Rule where Value == Double {
    /// A number with an optional fraction.
    static func decimal(_ range: ClosedRange<Double>, example: String) -> Rule {
        Rule("a number from \(range.lowerBound) to \(range.upperBound)", example: example) { text in
            Double(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// `10%` or `0.1`, as a share of 1.
    static let share = Rule("a share such as 10%", example: "10%") { text in
        let value = text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
        return value.flatMap { (0...1).contains($0) ? $0 : nil }
    }
}
