/// The ways between machines: which are cut, and how long a message takes.
struct Paths: Sendable {
    /// How a seed's network is.
    enum Profile: Int, Sendable, CaseIterable {
        /// 0.1 to 1 ms.
        case local
        /// 1 to 50 ms, by pair.
        case wide
        /// 0.1 to 50 ms, now and then 300 ms.
        case rough
    }

    let profile: Profile
    private let count: Int
    /// How many faults cut each way.
    private var cuts: [Int]
    /// Nanoseconds that the way takes at least.
    private var base: [Int64]
    /// No spikes any more.
    var isCalm = false

    init(count: Int, profile: Profile, random: inout SimulationRandom) {
        self.count = count
        self.profile = profile
        self.cuts = Array(repeating: 0, count: count * count)
        self.base = []
        for _ in 0..<count * count {
            switch profile {
            case .local, .rough: self.base.append(random.span(.microseconds(100) ... .microseconds(500)))
            case .wide: self.base.append(random.span(.milliseconds(1) ... .milliseconds(45)))
            }
        }
    }

    func isOpen(_ from: Int, _ to: Int) -> Bool { self.cuts[from * self.count + to] == 0 }
    func isOpenBothWays(_ one: Int, _ other: Int) -> Bool { self.isOpen(one, other) && self.isOpen(other, one) }

    mutating func cut(_ from: Int, _ to: Int) { self.cuts[from * self.count + to] += 1 }
    /// True when nothing cuts that way any more.
    mutating func mend(_ from: Int, _ to: Int) -> Bool {
        let index = from * self.count + to
        self.cuts[index] = max(0, self.cuts[index] - 1)
        return self.cuts[index] == 0
    }

    func delay(_ from: Int, _ to: Int, _ random: inout SimulationRandom) -> Int64 {
        let base = self.base[from * self.count + to]
        let draw = random.next()
        let jitter = base / 8 &+ Int64(draw >> 44) / 2  // up to about 0.5 ms
        guard self.profile == .rough, !self.isCalm else { return base + jitter }
        switch draw & 0xfff {
        case 0..<8: return 300_000_000
        case 8..<400: return base + Int64(draw >> 40) * 3  // up to about 50 ms
        default: return base + jitter
        }
    }
}
