import Settings
import Testing

/// Files that nobody wrote for good: the loader answers with settings or with problems, each on one printable line.
@Suite struct HostileFileTests {
    private func examine(_ bytes: [UInt8]) -> Int {
        var files = MemoryFiles()
        files.files["config.yaml"] = FileContents(bytes: bytes, mode: 0o600)
        do {
            _ = try SettingsLoader.check(path: "config.yaml", in: surroundings(files: files), readsFiles: false)
            return 0
        } catch {
            #expect(!error.problems.isEmpty && error.problems.count <= 20)
            for line in error.lines {
                #expect(line.utf8.allSatisfy { (0x20...0x7e).contains($0) } && line.utf8.count < 1_500, "\(line)")
            }
            return error.problems.count
        }
    }

    @Test func randomBytes() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2_000 {
            let count = Int.random(in: 0...200, using: &random)
            #expect(examine((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }) > 0)
        }
    }

    @Test func randomYAMLCharacters() {
        let alphabet = Array(" \n\t:-[]{},\"'&*!?|>#%@`abserver:\nclient:\n  0189.\u{e9}".utf8)
        var random = SeededGenerator(seed: 12)
        for _ in 0..<3_000 {
            let count = Int.random(in: 0...120, using: &random)
            _ = examine((0..<count).compactMap { _ in alphabet.randomElement(using: &random) })
        }
    }

    @Test func mutationsOfAGoodFile() {
        let text = ConfigExamples.text(for: .server) + ConfigExamples.text(for: .client)
        let good = Array(text.utf8)
        #expect(examine(good) == 0)
        var random = SeededGenerator(seed: 13)
        var refused = 0
        for _ in 0..<3_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes, &random) }
            if examine(bytes) > 0 { refused += 1 }
        }
        // Were nothing refused, the mutations would not reach the decoder.
        #expect(refused > 500)
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let at = Int.random(in: 0..<bytes.count, using: &random)
        let end = min(bytes.count, at + Int.random(in: 1...40, using: &random))
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.removeSubrange(at..<end)
        case 2: bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &random))
        case 3: bytes.insert(Array("[]{}:,\"'*&!|>\n \t-".utf8).randomElement(using: &random) ?? 0x20, at: at)
        default: bytes.swapAt(at, end - 1)
        }
    }

    @Test func deepNesting() {
        for opening in ["[", "{a: ", "- ", "? ", "a:\n"] {
            #expect(examine(Array(String(repeating: opening, count: 100_000).utf8)) > 0)
        }
        let steps = (0..<900).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
        #expect(examine(Array(steps.utf8)) > 0)
        let flow = String(repeating: "[", count: 900) + String(repeating: "]", count: 900)
        #expect(examine(Array(flow.utf8)) > 0)
    }

    @Test func aliasesCannotMultiply() {
        // Nine levels of nine would be 387 million parts.
        var levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        for level in 1..<9 {
            let name = "*a\(level - 1)"
            levels.append("a\(level): &a\(level) [\([String](repeating: name, count: 9).joined(separator: ","))]")
        }
        #expect(
            problems(levels.joined(separator: "\n")) == ["config.yaml:3: more than 10 YAML aliases (*name); write the values out"]
        )
        let asKeys = "a: &a {x: 1}\nb: &b {? *a : *a, ? [*a] : *a}\nc: &c {? *b : *b, ? [*b] : *b}\nd: {? *c : *c}\n"
        #expect(problems(asKeys).count == 1)
    }

    @Test func aFewAliasesAreFine() throws {
        let text = """
            server:
              token: &t \(strongToken)
              services:
                a: {targets: &targets ["b:1"]}
                c: {targets: *targets}
            client: {token: *t, server_addr: "d:1"}
            """
        #expect(try server(text).services.map { $0.targets.map(\.description) } == [["b:1"], ["b:1"]])
        #expect(try client(text).token == .inline(Secret(strongToken)))
    }

    @Test func aStarInAPatternIsNoAlias() {
        let patterns = (0..<50).map { "    \"*-\($0)\": {services: [\"*\", k8s-*]}\n" }.joined()
        #expect(problems("server:\n  token: \(strongToken)\n  clients:\n\(patterns)").isEmpty)
    }

    @Test func aMebibyteOfKeys() {
        let keys = (0..<40_000).map { "  key\($0): value\n" }.joined()
        let lines = problems("server:\n" + keys)
        #expect(lines.count == 21)
    }
}
