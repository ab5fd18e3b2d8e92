import Timing

/// What goes wrong in a run.
package enum FaultKind: String, Sendable, CaseIterable {
    case killedProcess = "processes killed"
    case deadMachine = "machines dead"
    case shortPause = "pauses shorter than a lease"
    case longPause = "pauses longer than a lease"
    case brokenLink = "links broken"
    case halfBrokenLink = "links broken at one end"
    case stalledPair = "pairs stalled"
    case oneWayCut = "one-way cuts"
    case isolation = "servers isolated"
    case halves = "partitions in two"
    case ring = "ring partitions"
    case slowDisk = "slow disks"
    case failedWrite = "failed writes"
    case emptyDisk = "restarts with an empty disk"
    case staleDisk = "restarts with a stale disk"
    case leave = "orderly leaves"
    case deposedLeader = "leaders cut off unawares"
    case allKilled = "all killed at once"
}

/// Which faults a seed has, and how often. Each seed takes some kinds and leaves others out: all at once hide each other.
struct FaultPlan: Sendable {
    /// A cut in force, as the ways that it cuts.
    var cuts: [Int: [(from: Int, to: Int)]] = [:]
    var lastCut = 0
    let kinds: [FaultKind]
    /// Between two faults, on average.
    let spacing: Int64
    /// Healing has begun.
    var isOver = false

    init(random: inout SimulationRandom) {
        let share = 0.3 + 0.7 * random.fraction()
        let chosen = FaultKind.allCases.filter { _ in random.chance(share) }
        self.kinds = chosen.isEmpty ? [.killedProcess] : chosen
        self.spacing = random.span(.milliseconds(800) ... .seconds(12))
    }
}
