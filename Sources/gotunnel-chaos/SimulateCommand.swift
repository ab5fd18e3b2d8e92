import ArgumentParser
import ClusterCore
import Foundation
import Simulation

/// `gotunnel-chaos simulate`.
struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Runs whole clusters from seeds, without a network, and checks what must hold.",
        discussion: """
            Each seed is a cluster of its own: clocks that differ, slow and failing disks, links that stall, break and come
            back, partitions, pauses, restarts, clients and operators. After the faults everything is healed, and the servers
            have to agree. A seed gives the same run each time, on every machine: the digest of all runs tells.

            Prints what was run, which faults there were, and which states were reached; for a violation the seed and what
            happened before.

            Exit code 0: everything held; 1: something was violated.
            """)

    @Option(help: ArgumentHelp("How many seeds to run.", valueName: "number"))
    var seeds: UInt64 = 300

    @Option(help: ArgumentHelp("The first seed.", valueName: "seed"))
    var from: UInt64 = 1

    @Option(
        help: ArgumentHelp("How many servers found each cluster, 1 to 100. Default: 3 to 7, by the seed.", valueName: "number"))
    var nodes: Int?

    @Option(help: ArgumentHelp("How long the faults last in each run, in simulated minutes.", valueName: "minutes"))
    var minutes: Double = 10

    @Option(help: ArgumentHelp("Run this seed alone and print what happened, line by line.", valueName: "seed"))
    var trace: UInt64?

    @Option(
        help: ArgumentHelp(
            "Start no seed after so many seconds, however many are left, and say how many ran.", valueName: "seconds"))
    var budget: Double?

    @Option(help: ArgumentHelp("Run so many seeds whatever --budget says.", valueName: "number"))
    var atLeast: UInt64 = 0

    @Option(help: ArgumentHelp("How many seeds run at once. Default: one for each core.", valueName: "number"))
    var lanes: Int?

    #if FAULTS
    @Option(
        help: ArgumentHelp(
            "Put this fault into the code: the run has to end with a violation. One of: "
                + ClusterMutant.allCases.map(\.rawValue).joined(separator: ", ") + ".", valueName: "name"))
    var mutant: ClusterMutant?
    #endif

    @Flag(help: "Print the digest of each seed.")
    var digests = false

    @Flag(help: "Stop at the first violation.")
    var first = false

    @Flag(help: "Say which seeds violate what, but not what happened before.")
    var brief = false

    func validate() throws {
        guard seeds > 0, from.addingReportingOverflow(seeds - 1).overflow == false else {
            throw ValidationError("--seeds \(seeds) from \(from): give at least 1, and no more than there are")
        }
        if let nodes, !(1...100).contains(nodes) { throw ValidationError("--nodes \(nodes): give 1 to 100") }
        guard minutes > 0, minutes <= 24 * 60 else {
            throw ValidationError("--minutes \(minutes): give more than 0, at most 1440")
        }
        if let budget, budget <= 0 { throw ValidationError("--budget \(budget): give more than 0 seconds") }
        if let lanes, !(1...256).contains(lanes) { throw ValidationError("--lanes \(lanes): give 1 to 256") }
    }

    func run() async throws {
        if let trace { return try traceSeed(trace) }
        var summary = SimulationSummary(from: from, wanted: seeds)
        let clock = ContinuousClock()
        let start = clock.now
        let end = budget.map { start + .seconds($0) }
        var ran: UInt64 = 0
        let lanes = lanes ?? ProcessInfo.processInfo.activeProcessorCount
        await Simulation.run(seeds: from...(from + seeds - 1), lanes: lanes, plan: { plan(for: $0) }) { report in
            summary.add(report)
            ran += 1
            if digests { Self.print("seed \(report.seed): digest \(String(report.digest, radix: 16))\n") }
            if first, !summary.held { return false }
            return ran < atLeast || end.map { clock.now < $0 } ?? true
        }
        Self.print(summary.text(took: clock.now - start))
        for seed in summary.violated.keys.sorted().prefix(brief ? 0 : 3) { explain(seed) }
        if !summary.held { throw ExitCode(1) }
    }

    private func plan(for seed: UInt64, traces: Bool = false) -> SimulationPlan {
        var plan = SimulationPlan(seed: seed, nodes: nodes, duration: .seconds(minutes * 60), traces: traces)
        #if FAULTS
        plan.mutant = mutant
        #endif
        return plan
    }

    /// The same seed again, this time in words.
    private func explain(_ seed: UInt64) {
        let report = Simulation.run(plan(for: seed, traces: true))
        Self.print("\nSeed \(seed), the last of what happened (all of it: --trace \(seed)):\n")
        Self.print(report.trace.suffix(120).map { "  \($0)\n" }.joined())
    }

    private func traceSeed(_ seed: UInt64) throws {
        var plan = plan(for: seed, traces: true)
        plan.traceSink = { Self.print($0 + "\n") }
        let report = Simulation.run(plan)
        Self.print("seed \(seed): \(report.events) events, digest \(String(report.digest, radix: 16))\n")
        for violation in report.violations { Self.print("violated: \(violation.invariant.rawValue): \(violation.text)\n") }
        if !report.violations.isEmpty { throw ExitCode(1) }
    }

    /// That nobody reads it is no error.
    private static func print(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }
}

#if FAULTS
extension ClusterMutant: ExpressibleByArgument {}
#endif
