import TunnelSession

/// The parameters of one schedule, drawn from its seed.
struct SimulationPlan {
    var configuration = SessionConfiguration()
    var opens: Int
    var largestStream: Int
    var largestRead: Int
    var cuts: Int
    /// One end drains for a while.
    var drains: Bool
    /// Memory runs short now and then.
    var isShortOfMemory: Bool

    init(random: inout SplitMix64) {
        self.configuration.replayBuffer = random.pick([16 << 20, 16 << 20, 200_000, 40_000, 1])
        self.configuration.quantum = random.pick([16_384 - 8, 16_384 - 8, 1_000, 60, 3])
        self.configuration.maximumStreamWindow = random.pick([8 << 20, 100_000, 65_536])
        self.configuration.windowGrowth = random.pick([16 << 20, 90_000, 0])
        self.configuration.streams = random.pick([16_384, 16_384, 3])
        self.configuration.bandwidth = random.pick([0, 0, 0, 1_000_000])
        self.configuration.acknowledgementDelay = .microseconds(random.pick([20_000, 2_000, 200]))
        self.configuration.heartbeatInterval = .milliseconds(random.int(5...20))
        self.configuration.idleHeartbeatInterval = .milliseconds(random.int(20...60))
        self.configuration.heartbeatTimeout = .milliseconds(random.int(40...90))
        self.opens = random.int(1...16)
        let isTiny = self.configuration.quantum < 100 || self.configuration.replayBuffer == 1
        self.largestStream = isTiny ? random.pick([200, 4_000]) : random.pick([1_000, 20_000, 90_000, 250_000])
        self.largestRead = random.pick([1, 100, 5_000, 20_000, Pattern.longest])
        if self.largestRead == 1 { self.largestStream = min(self.largestStream, 600) }
        if self.largestRead == 100 { self.largestStream = min(self.largestStream, 20_000) }
        self.cuts = random.pick([0, random.int(1...10), random.int(10...60), random.int(60...150)])
        self.drains = random.chance(10)
        self.isShortOfMemory = random.chance(15)
    }
}
