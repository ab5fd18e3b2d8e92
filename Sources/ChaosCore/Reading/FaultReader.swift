import Settings

/// One entry of `faults:`.
enum FaultReader {
    /// Nil: it is wrong, and reported.
    static func read(_ section: Section) -> FaultPlan? {
        // Which keys it may have depends on what is done: the rest is read when that is known.
        guard let action = self.action(section) else { return nil }
        let (who, other) = self.sides(section, action)
        let timing = self.timing(section)
        let lasts = section.value("for", .times)
        section.finish()
        guard let who, let timing, lasts != nil || !section.has("for") else { return nil }
        return FaultPlan(action, who, other: other, timing, lasts: lasts, line: section.line)
    }

    /// What needs no further key.
    private static let simple: [FaultAction] = [
        .kill, .killWithDisk, .stop, .restart, .upgrade, .drain, .move, .reboot, .reset, .cut, .cutOneWay, .ring, .fillDisk,
        .rotateToken, .replaceVoter, .dropFleet,
    ]
    private static let further = ["flap", "loss", "rate", "delay", "starve", "exhaust_files", "clock", "hang"]

    private static func action(_ section: Section) -> FaultAction? {
        let names = Self.simple.map(\.name) + Self.further
        let rule = Rule<String>("a fault", example: "kill") { text, _ in
            if names.contains(text) { return .success(text) }
            return .failure(
                .init(
                    wrong: "there is no fault \(PrintableText.quoted(text))",
                    right: PrintableText.nearest(to: text, among: names),
                    mend: PrintableText.nearest(to: text, among: names) == nil
                        ? "there are: \(names.sorted().joined(separator: ", "))" : nil))
        }
        guard section.has("do") else {
            section.report.problem(section.line, section.keyPath("do"), "it does not say what is done", "write do: kill")
            return nil
        }
        guard let name = section.value("do", rule) else { return nil }
        func needed<Value>(_ key: String, _ rule: Rule<Value>) -> Value? {
            if !section.has(key) {
                section.report.problem(
                    section.line, section.keyPath(key), "\(name) needs it", "write \(key): \(rule.example)")
            }
            return section.value(key, rule)
        }
        switch name {
        case "flap": return needed("period", .time).map { .flap($0) }
        case "loss": return needed("share", .share).map { .loss($0) }
        case "rate": return needed("bytes_per_second", .size(1_000...(10 << 30), example: "1MiB")).map { .rate($0) }
        case "delay": return needed("by", .time).map { .delay($0) }
        case "starve": return needed("share", .share).map { .starve($0) }
        case "exhaust_files":
            return (section.has("more") ? section.value("more", .number(0...100_000, example: "0")) : 0).map { .exhaustFiles($0) }
        case "clock": return needed("rate", .decimal(0.5...2, example: "1.1")).map { .clock($0) }
        case "hang": return needed("part", .word(HungPart.self, example: "loop")).map { .hang($0.rawValue) }
        default: return Self.simple.first { $0.name == name }
        }
    }

    enum HungPart: String, CaseIterable { case loop, control, disk }

    private static func sides(_ section: Section, _ action: FaultAction) -> (Target?, Target?) {
        if section.has("between") { return self.between(section, action) }
        let who = section.value("who", .target)
        switch action {
        case .ring, .rotateToken, .dropFleet: return (who ?? .allServers, nil)
        case .cut, .cutOneWay, .flap: return (self.required(who, section), section.value("from", .target) ?? .everyone)
        default: return (self.required(who, section), nil)
        }
    }

    private static func between(_ section: Section, _ action: FaultAction) -> (Target?, Target?) {
        func problem(_ wrong: String, _ mend: String) -> (Target?, Target?) {
            section.report.problem(section.line(of: "between"), section.keyPath("between"), wrong, mend)
            return (nil, nil)
        }
        let both = section.list("between", .target, example: "[worker-1, active]") ?? []
        for key in ["who", "from"] where section.has(key) {
            _ = section.node(key)
            return problem("between and \(key) are both given", "remove one of the two")
        }
        guard action.hasTwoSides else { return problem("\(action.name) has no two sides", "write who: leader in its place") }
        guard case .list(let items)? = section.node("between")?.content, items.count == both.count else { return (nil, nil) }
        guard both.count == 2 else {
            return problem("it names \(both.count) of two sides", "write between: [worker-1, active]")
        }
        return (both[0].value, both[1].value)
    }

    private static func required(_ who: Target?, _ section: Section) -> Target? {
        if who == nil, !section.has("who") {
            section.report.problem(section.line, section.keyPath("who"), "it does not say whom it meets", "write who: leader")
        }
        return who
    }

    private static func timing(_ section: Section) -> FaultPlan.Timing? {
        let given = ["at", "every", "random"].filter { section.has($0) }
        guard given.count == 1 else {
            for key in given + ["first"] { _ = section.node(key) }
            section.report.problem(
                section.line, section.keyPath(given.first ?? "at"),
                given.isEmpty ? "it does not say when it comes" : "it has more than one time: \(given.joined(separator: ", "))",
                "write one of at: 10s, every: 5s, random: 3s..10s")
            return nil
        }
        if section.has("at") { return section.value("at", .time).map { .at($0) } }
        if section.has("every") {
            let first = section.value("first", .time)
            return section.value("every", .time).map { .every($0, first: first ?? .zero) }
        }
        return section.value("random", .times).map { .random($0) }
    }
}

extension Rule where Value == Target {
    /// Who a fault meets: one of the words, or a name.
    static let target = Rule("whom it meets", example: "leader") { text, _ in
        if let word = Target.words.first(where: { $0.name == text }) { return .success(word) }
        if let name = Names.processName(text), name.contains("-") || name.contains(".") { return .success(.named(name)) }
        let words = Target.words.map(\.name)
        return .failure(
            .init(
                wrong: "\(PrintableText.quoted(text)) is neither a name nor one of \(words.joined(separator: ", "))",
                right: PrintableText.nearest(to: text, among: words)))
    }
}
