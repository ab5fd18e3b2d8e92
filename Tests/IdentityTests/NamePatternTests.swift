import Testing

@testable import Identity

@Suite struct NamePatternTests {
    @Test(arguments: [
        ("k8s-*", "k8s-", true), ("k8s-*", "k8s-worker-01", true), ("k8s-*", "k8s", false), ("k8s-*", "xk8s-1", false),
        ("*", "", true), ("*", "anything.at-all", true), ("**", "a", true), ("a", "a", true), ("a", "", false),
        ("a", "aa", false),
        ("*.example.org", "a.example.org", true), ("*.example.org", "example.org", false), ("a*b*c", "abc", true),
        ("a*b*c", "a-b-b-c", true), ("a*b*c", "a-c-b", false), ("*ab", "aab", true), ("*aab", "aaab", true), ("a*a", "a", false),
        ("*a*", "bab", true), ("K8S-*", "k8s-1", true), ("k8s-*", "K8S-1", false), ("a.c", "abc", false),
    ])
    func globs(pattern: String, name: String, expected: Bool) throws {
        #expect(try NamePattern(pattern).matches(name) == expected)
    }

    @Test(arguments: ["", "a b", "a?", "[ab]", "é", "a_b", "a/b", "a\n", String(repeating: "a", count: 254)])
    func otherCharactersAreRefused(text: String) {
        #expect(throws: NamePatternError.self) { try NamePattern(text) }
    }

    @Test func refusalIsPrintable() {
        let error = #expect(throws: NamePatternError.self) { try NamePattern("\u{1B}[31m" + String(repeating: "x", count: 500)) }
        #expect((error?.description.utf8.count ?? 0) < 200)
        #expect(error?.description.utf8.allSatisfy { (0x20...0x7E).contains($0) } == true)
    }

    /// The obvious matcher, exponential and beyond doubt, for short texts.
    private func reference(_ pattern: Substring, _ name: Substring) -> Bool {
        guard let head = pattern.first else { return name.isEmpty }
        if head == "*" { return reference(pattern.dropFirst(), name) || (!name.isEmpty && reference(pattern, name.dropFirst())) }
        return name.first == head && reference(pattern.dropFirst(), name.dropFirst())
    }

    @Test func agreesWithTheObviousMatcher() throws {
        var generator = SeededGenerator(seed: 7)
        var matches = 0
        for _ in 0..<20_000 {
            let pattern = String(
                (0..<Int.random(in: 1...7, using: &generator)).map { _ in "ab**".randomElement(using: &generator) ?? "a" })
            let name = String(
                (0..<Int.random(in: 0...8, using: &generator)).map { _ in "ab".randomElement(using: &generator) ?? "a" })
            let expected = reference(pattern[...], name[...])
            #expect(try NamePattern(pattern).matches(name) == expected, "\(pattern) \(name)")
            matches += expected ? 1 : 0
        }
        #expect((1_000...19_000).contains(matches), "the samples have to show both answers")
    }

    /// Would take longer than the universe has with a matcher that tries every star again.
    @Test func manyStarsDoNotBlowUp() throws {
        let pattern = try NamePattern(String(repeating: "*a", count: 125) + "*b")
        #expect(!pattern.matches(String(repeating: "a", count: 253)))
        #expect(pattern.matches(String(repeating: "a", count: 252) + "b"))
    }

    @Test(arguments: [
        ("a", true), ("k8s-worker-01", true), ("a.b.c", true), ("0", true), ("", false), ("-a", false), ("a-", false),
        ("a..b", false),
        (".a", false), ("a.", false), ("A", false), ("a_b", false), ("a b", false), ("a/b", false), ("é", false),
        (String(repeating: "a", count: 63), true), (String(repeating: "a", count: 64), false),
    ])
    func hostNames(name: String, expected: Bool) {
        #expect(HostName.isValid(name) == expected)
    }

    @Test func hostNamesHaveAnEnd() {
        let label = String(repeating: "a", count: 62) + "."
        #expect(HostName.isValid(String(repeating: label, count: 4) + "a"))
        #expect(!HostName.isValid(String(repeating: label, count: 4) + "aa"))
    }
}
