import Synchronization
import Testing

/// Cuts the link of a pair at random byte counts, from a seed: resets, ends and silences in turn, some while the link that
/// replaces the last one is still shaking hands.
final class LinkCutter: Sendable {
    struct Outcome: Sendable {
        var all = 0
        /// Cuts of a link that carried the session: each needs a resume.
        var ofLinks = 0
        var byKind: [String: Int] = [:]
    }

    private let proxy: BreakableProxy
    private let cuts: Int
    private let gap: Int
    private let seed: UInt64
    private let isStopped = Atomic<Bool>(false)

    /// More than any handshake takes in either direction, so that a link which has passed this much carries the session.
    private static let handshakeBytes = 8_192

    /// - Parameter volume: bytes that will pass in each direction; the cuts are spread over the first third of them, because more
    ///   bytes pass until each cut has been noticed here.
    init(proxy: BreakableProxy, cuts: Int, volume: Int, seed: UInt64) {
        self.proxy = proxy
        self.cuts = cuts
        self.gap = max(4_096, volume / 3 / cuts)
        self.seed = seed
    }

    /// No more cuts.
    func stop() { self.isStopped.store(true, ordering: .relaxed) }

    func run() async throws -> Outcome {
        var random = SeededGenerator(seed: self.seed)
        var outcome = Outcome()
        while outcome.all < self.cuts {
            let how = BreakableProxy.Break.allCases[outcome.all % 3]
            let direction: BreakableProxy.Direction = Bool.random(using: &random) ? .toServer : .toClient
            let isEarly = Int.random(in: 0..<8, using: &random) == 0
            let count =
                isEarly
                ? Int.random(in: 1...1_500, using: &random)
                : Self.handshakeBytes + Int.random(in: 1...(2 * self.gap), using: &random)
            let before = try await self.proxy.counts.breaks
            try await self.proxy.breakAfter(count, direction, how)
            guard try await self.wasCut(before) else { break }
            outcome.all += 1
            outcome.byKind["\(how)", default: 0] += 1
            if !isEarly { outcome.ofLinks += 1 }
        }
        return outcome
    }

    /// False when stopped before.
    private func wasCut(_ before: Int) async throws -> Bool {
        while try await self.proxy.counts.breaks == before {
            if self.isStopped.load(ordering: .relaxed) { return false }
            try await Task.sleep(for: .milliseconds(1))
        }
        return true
    }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
