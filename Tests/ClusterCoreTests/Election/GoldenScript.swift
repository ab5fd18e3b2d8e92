import Testing

@testable import ClusterCore

/// A run as it was and as it should be, to be read as a story: the commands of an `AgreementScript`, and below each what the
/// servers did.
struct GoldenScript: CustomTestStringConvertible, Sendable {
    /// What it shows.
    let name: String
    let text: String
    /// Faults with which it goes wrong, and a line that it has only then.
    let faults: [ClusterMutant: String]

    init(_ name: String, catches faults: [ClusterMutant: String] = [:], _ text: String) {
        self.name = name
        self.faults = faults
        self.text = text
    }

    var testDescription: String { self.name }

    static let all = Self.elections + Self.votes + Self.voters + Self.ports

    /// How it goes now.
    func played(with mutant: ClusterMutant? = nil) -> String {
        var run = AgreementScript(mutant: mutant)
        return run.run(self.text)
    }

    /// A script together with a fault that it catches.
    struct Fault: CustomTestStringConvertible, Sendable {
        let script: GoldenScript
        let mutant: ClusterMutant
        /// Without its indentation.
        let line: String

        var testDescription: String { "\(self.mutant.rawValue), by “\(self.script.name)”" }
    }

    static let allFaults = Self.all.flatMap { script in
        script.faults.sorted { $0.key.rawValue < $1.key.rawValue }.map { Fault(script: script, mutant: $0.key, line: $0.value) }
    }
}

@Suite("Elections and assignments, step by step")
struct GoldenScriptTests {
    @Test(arguments: GoldenScript.all) func itGoesAsItIsWritten(script: GoldenScript) {
        let outcome = script.played()
        #expect(outcome == script.text, "it went so:\n\(outcome)\n")
        #expect(!outcome.contains(AgreementScript.noLetter), "a command names a letter that is not there")
    }

    #if FAULTS
    /// A script that goes the same way whatever is broken would prove nothing.
    @Test(arguments: GoldenScript.allFaults) func aFaultIsCaught(fault: GoldenScript.Fault) {
        let lines = { (text: String) in text.split(separator: "\n").filter { $0.hasPrefix("  ") }.map { $0.dropFirst(2) } }
        let outcome = fault.script.played(with: fault.mutant)
        #expect(lines(outcome).contains { $0 == fault.line }, "it went so:\n\(outcome)\n")
        #expect(!lines(fault.script.text).contains { $0 == fault.line }, "this happens without the fault, too")
    }

    @Test func noFaultIsLeftOut() {
        let caught = Set(GoldenScript.allFaults.map(\.mutant))
        #expect(ClusterMutant.allCases.filter { !caught.contains($0) } == [])
    }
    #endif
}
