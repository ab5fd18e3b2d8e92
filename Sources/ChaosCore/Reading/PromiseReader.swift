import Settings

/// `promises:` and `without:` of a scenario.
enum PromiseReader {
    /// What the file promises, and what holds always unless it is taken out.
    static func read(_ section: Section) -> [Promise] {
        let promises = section.section("promises")
        let own = promises.map { self.promises($0) } ?? []
        if promises?.keys.isEmpty ?? !section.has("promises") {
            section.report.problem(
                section.line(of: "promises"), "promises", "nothing is promised beyond what holds always",
                "write promises: {failed_new: 0}")
        }
        let without = Set((section.list("without", .standing, example: "[clean_logs]") ?? []).map(\.value))
        return own + Promise.always.filter { !without.contains($0) }
    }

    private static func promises(_ section: Section) -> [Promise] {
        var promises: [Promise] = []
        for kind in Observation.Kind.allCases where kind != .watch && kind != .exec {
            if let count = section.value("failed_\(kind.rawValue)", .count) { promises.append(.failed(kind, count)) }
            if let time = section.value("slowest_\(kind.rawValue)", .time) { promises.append(.slowest(kind, time)) }
            if let time = section.value("p99_\(kind.rawValue)", .time) { promises.append(.p99(kind, time)) }
        }
        if let time = section.value("longest_silence", .time) { promises.append(.longestSilence(time)) }
        if let time = section.value("latest_event", .time) { promises.append(.latestEvent(time)) }
        if let count = section.value("broken", .count) { promises.append(.broken(count)) }
        if let time = section.value("recovered", .time) { promises.append(.recovered(time)) }
        if let time = section.value("leaderless", .time) { promises.append(.leaderless(time)) }
        if section.value("false_deaths", .only("none")) != nil { promises.append(.noFalseDeath) }
        if section.value("ports", .only("kept")) != nil { promises.append(.portsKept) }
        if let time = section.value("agreement", .time) { promises.append(.agreement(time)) }
        if let time = section.value("restarted_within", .time) { promises.append(.restartedWithin(time)) }
        if let files = section.value("open_files", .number(0...100_000, example: "50")) { promises.append(.openFiles(files)) }
        if let bytes = section.value("memory", .size(0...(16 << 30), example: "64MiB")) { promises.append(.memory(bytes)) }
        section.finish()
        return promises
    }
}

extension Rule where Value == Promise.Count {
    /// `0`, `1%`, `2 per fault`.
    static let count = Rule("a number, a share such as 1%, or 2 per fault", example: "0") { text in
        if text.hasSuffix("%") { return Double(text.dropLast()).flatMap { (0...100).contains($0) ? .share($0 / 100) : nil } }
        let words = text.split(separator: " ")
        guard let number = words.first.flatMap({ Int($0) }), number >= 0 else { return nil }
        if words.count == 1 { return .atMost(number) }
        return words.dropFirst() == ["per", "fault"] ? .perFault(number) : nil
    }
}

extension Rule where Value == String {
    /// The one thing that can be promised here.
    static func only(_ word: String) -> Rule { Rule("\(word)", example: word) { $0 == word ? $0 : nil } }
}

extension Rule where Value == Promise {
    /// The name of a promise that holds always.
    static let standing = Rule(
        "one of \(Promise.always.map(\.key).joined(separator: ", "))", example: "clean_logs"
    ) { text in Promise.always.first { $0.key == text } }
}
