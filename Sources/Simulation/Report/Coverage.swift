import ClusterCore
import TunnelWire

/// What a run, or many, went through: a check proves little about what never happened.
package struct Coverage: Sendable, Equatable {
    package var messages = 0
    package var heldMessages = 0
    package var lostMessages = 0
    package var links = 0
    package var silentReplacements = 0
    package var restarts = 0
    package var wipedDisks = 0
    package var staleDisks = 0
    package var suspicions = 0
    package var falseSuspicions = 0
    package var deaths = 0
    package var falseDeaths = 0
    package var entryChanges = 0
    package var registryResets = 0
    /// The highest term, of all runs together the sum.
    package var terms: UInt64 = 0
    package var commits = 0
    package var fetches = 0
    package var installs = 0
    package var transfers = 0
    package var voterSets = 0
    package var unbinds = 0
    package var assigned = 0
    package var done = 0
    package var refused = 0
    package private(set) var faults: [FaultKind: Int] = [:]
    package private(set) var roles: [Leadership.Role: Int] = [:]
    package private(set) var brokenLinks = 0
    package private(set) var announcedEnds = 0
    package private(set) var silentLinks = 0

    package init() {}

    package mutating func count(_ fault: FaultKind) { self.faults[fault, default: 0] += 1 }
    mutating func count(_ role: Leadership.Role) { self.roles[role, default: 0] += 1 }

    mutating func count(_ ending: LinkEnding) {
        switch ending {
        case .announced: self.announcedEnds += 1
        case .broken: self.brokenLinks += 1
        case .silent: self.silentLinks += 1
        }
    }

    mutating func count(_ message: ClusterMessage) {
        switch message {
        case .assignments(.fetched): self.fetches += 1
        case .assignments(.install): self.installs += 1
        case .election(.timeoutNow): self.transfers += 1
        case .registry(.delta(let delta)): if delta.parts.contains(where: \.isReset) { self.registryResets += 1 }
        case .membership, .registry, .election, .assignments, .duty: break
        }
    }

    mutating func count(_ outcome: RequestOutcome) {
        switch outcome {
        case .assigned: self.assigned += 1
        case .done: self.done += 1
        case .refused: self.refused += 1
        }
    }

    package mutating func add(_ other: Coverage) {
        for path in Self.counters { self[keyPath: path.path] += other[keyPath: path.path] }
        self.terms += other.terms
        self.faults.merge(other.faults, uniquingKeysWith: +)
        self.roles.merge(other.roles, uniquingKeysWith: +)
        self.brokenLinks += other.brokenLinks
        self.announcedEnds += other.announcedEnds
        self.silentLinks += other.silentLinks
    }

    /// The counters by the words that people read.
    private static var counters: [(name: String, path: WritableKeyPath<Coverage, Int>)] {
        [
            ("messages", \.messages), ("held messages", \.heldMessages), ("lost messages", \.lostMessages), ("links", \.links),
            ("silent replacements of links", \.silentReplacements), ("restarts", \.restarts), ("wiped disks", \.wipedDisks),
            ("stale disks", \.staleDisks), ("suspicions", \.suspicions), ("false suspicions", \.falseSuspicions),
            ("deaths noticed", \.deaths), ("false deaths under faults", \.falseDeaths), ("registry changes", \.entryChanges),
            ("registry resets", \.registryResets), ("commits", \.commits), ("states fetched", \.fetches),
            ("states installed", \.installs), ("leads handed over", \.transfers), ("voter sets", \.voterSets),
            ("ports taken back", \.unbinds), ("ports told", \.assigned), ("commands done", \.done),
            ("requests refused", \.refused),
        ]
    }

    /// Every counter with its name.
    package var lines: [(name: String, count: Int)] {
        var lines: [(name: String, count: Int)] = Self.counters.map { ($0.name, self[keyPath: $0.path]) }
        lines.append(("terms", Int(clamping: self.terms)))
        for role in Leadership.Role.allCases { lines.append(("became \(role.rawValue)", self.roles[role] ?? 0)) }
        lines.append(("links broken", self.brokenLinks))
        lines.append(("links silent", self.silentLinks))
        lines.append(("links ended in order", self.announcedEnds))
        return lines
    }
}
