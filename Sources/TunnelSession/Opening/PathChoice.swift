import Timing
import TunnelWire

/// The paths there are, and which is the best for a new stream: the service healthy there, not draining, the lowest
/// smoothed round trip; sticky, so that small differences do not make streams wander.
package struct PathChoice: Sendable {
    private(set) var paths: [PathID: Path] = [:]
    /// Where streams to a destination that is asked for the first time go, unless something speaks against it.
    private var preferred: PathID?
    /// Where the last stream to a destination went.
    private var sticky: [Destination: PathID] = [:]
    /// A path that has been clearly better than the preferred one, and since when.
    private var challenger: (path: PathID, since: Moment)?

    /// How long a path must be clearly better before new streams move to it.
    static let challengeTime = Duration.seconds(30)

    // MARK: What is known

    mutating func add(_ id: PathID, rank: UInt64, preference: PathPreference = .first) {
        self.paths[id] = Path(rank: rank, preference: preference)
        self.settle()
    }

    mutating func remove(_ id: PathID) {
        self.paths[id] = nil
        if self.challenger?.path == id { self.challenger = nil }
        self.settle()
    }

    mutating func update(_ id: PathID, _ change: (inout Path) -> Void) {
        guard let index = self.paths.index(forKey: id) else { return }
        let wasWell = self.paths.values[index].isWell
        change(&self.paths.values[index])
        if self.paths.values[index].isWell != wasWell { self.settle() }
    }

    /// What leads to a path that is not well any more leads to another from now on.
    private mutating func settle() {
        let well = self.paths.filter { $0.value.isWell }
        self.sticky = self.sticky.filter { well[$0.value] != nil }
        if self.preferred.map({ well[$0] == nil }) ?? true, let path = self.nearest(of: well.keys.sorted()) {
            self.preferred = path
        }
    }

    subscript(_ id: PathID) -> Path? { self.paths[id] }

    /// Whether there is a path that takes new streams.
    var hasUsable: Bool { self.paths.values.contains { $0.isUsable } }

    /// Whether a link may soon carry one of the sessions again.
    var hasUnlinked: Bool { self.paths.values.contains { !$0.isLinked } }

    /// Whether new streams go there at present, at least those to one destination.
    package func isActive(_ id: PathID) -> Bool {
        self.sticky.isEmpty ? self.preferred == id : self.sticky.values.contains(id)
    }

    /// Whether new streams go there, whatever their destination, as far as it serves them.
    package func isPreferred(_ id: PathID) -> Bool {
        self.preferred == id && self.sticky.values.allSatisfy { $0 == id }
    }

    // MARK: Choosing

    /// The path for the first attempt of a stream; the next ones to the same destination go there too.
    mutating func first(for destination: Destination) -> PathID? {
        guard let path = self.next(for: destination, besides: []) else { return nil }
        if self.sticky[destination] != path { self.sticky[destination] = path }
        return path
    }

    /// The best path for a further attempt; nil when none is left.
    /// - Parameter onlyFit: not where the destination is known to be down or not offered.
    func next(for destination: Destination, besides tried: [PathID], onlyFit: Bool = false) -> PathID? {
        var best: [PathID] = []
        var bestFitness = Path.Fitness.unoffered
        var bestPreference = PathPreference.last
        for (id, path) in self.paths where path.isUsable && !tried.contains(id) {
            let fitness = path.fitness(for: destination)
            if onlyFit, fitness == .unhealthy || fitness == .unoffered { continue }
            if best.isEmpty || (fitness, path.preference) < (bestFitness, bestPreference) {
                best = [id]
                (bestFitness, bestPreference) = (fitness, path.preference)
            } else if (fitness, path.preference) == (bestFitness, bestPreference) {
                best.append(id)
            }
        }
        if best.count < 2 { return best.first }
        if let sticky = self.sticky[destination] ?? self.preferred, best.contains(sticky) { return sticky }
        return self.nearest(of: best)
    }

    /// Of the most preferred whose round trip is hardly above the lowest, the one with the lowest rank.
    private func nearest(of all: [PathID]) -> PathID? {
        let preference = all.compactMap { self.paths[$0]?.preference }.min()
        let candidates = all.filter { self.paths[$0]?.preference == preference }
        let trips = candidates.compactMap { self.paths[$0]?.roundTrip }
        let limit = trips.min().map { Self.indifferent(to: $0) }
        return candidates.filter { id in
            guard let limit else { return true }
            return self.paths[id]?.roundTrip.map { $0 <= limit } ?? false
        }.min { (self.paths[$0]?.rank ?? 0, $0) < (self.paths[$1]?.rank ?? 0, $1) }
    }

    /// What is not worth moving for: half again as long and a millisecond.
    private static func indifferent(to roundTrip: Duration) -> Duration { roundTrip + roundTrip / 2 + .milliseconds(1) }

    // MARK: Moving

    /// New streams go to `path` from now on, whatever their destination.
    mutating func prefer(_ path: PathID) {
        self.preferred = path
        self.sticky = self.sticky.mapValues { _ in path }
        self.challenger = nil
    }

    /// A stream that could not be had where it was tried first was opened at `path`: the next ones begin there.
    mutating func failedOver(_ destination: Destination, to path: PathID) {
        self.sticky[destination] = path
    }

    /// Moves to a path that has been clearly nearer than the preferred one for long.
    mutating func reconsider(now: Moment) {
        guard let preferred = self.preferred, let path = self.paths[preferred], let current = path.roundTrip else { return }
        let nearer = self.paths.filter { $0.key != preferred && $0.value.isWell && $0.value.preference <= path.preference }
            .filter { $0.value.roundTrip.map { Self.indifferent(to: $0) < current } ?? false }
        guard let best = self.nearest(of: nearer.keys.sorted()) else {
            self.challenger = nil
            return
        }
        guard let challenger = self.challenger, nearer[challenger.path] != nil else {
            self.challenger = (best, now)
            return
        }
        if now - challenger.since >= Self.challengeTime { self.prefer(challenger.path) }
    }
}
