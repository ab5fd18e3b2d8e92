import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// What a join, a change and an idle second cost: counted, never timed.
@Suite struct RegistryScaleTests {
    /// As real ones are: a worker with its kubelet.
    private func record(_ number: UInt64) -> RegistryRecord {
        .client(
            ClientRecord(
                installation: WireID(high: number, low: 1), instance: WireID(high: number, low: 2),
                address: "203.0.113.217:43210",
                since: 1_790_000_000_000 + number,
                exposures: [ExposureRecord(name: "kubelet", port: .fixed(20_000, claimedAt: 1_790_000_000_000), isHealthy: true)])
        )
    }

    private func fill(_ net: RegistryNet, _ owner: ServerName, _ count: Int) {
        for number in 0..<UInt64(count) {
            let key = RegistryKey.sample("worker-\(number).\(owner).example")
            net.act(owner) { registry, _, now in registry.set(key, self.record(number), peers: [], now: now) }
        }
    }

    /// The newcomer s0 has just been linked to all. Returns how many times a message went one way before all was quiet.
    private func join(_ net: RegistryNet) -> Int {
        net.sent = (0, 0)
        net.countsBytes = true
        for peer in net.names.dropFirst() {
            net.join("s0", peer)
            net.join(peer, "s0")
        }
        var trips = 0
        while !net.waiting.isEmpty, trips < 1_000 {
            trips += 1
            let wave = net.waiting
            net.waiting = []
            for envelope in wave { net.hand(envelope) }
        }
        return trips
    }

    @Test func aColdJoinOfAHundredThousandEntriesIsOneTransfer() {
        let net = RegistryNet(5)
        for owner in net.names.dropFirst() { self.fill(net, owner, 25_000) }
        let trips = self.join(net)
        print("cold join: 100 000 entries, \(net.sent.bytes) bytes, \(net.sent.messages) messages, \(trips) one-way trips")
        #expect(net.registry("s0").entryCount == 100_000)
        #expect(net.sent.bytes <= 12_000_000)
        #expect(net.sent.messages <= 300)
        #expect(trips <= 16)
        for owner in net.names.dropFirst() {
            #expect(net.registry("s0").versions()[owner] == net.registry(owner).versions()[owner])
        }
    }

    /// Everybody knows everything and offers it to the newcomer at the same time.
    @Test func whatAllOfferAtOnceIsNotSentManyTimes() {
        let net = RegistryNet(5)
        for owner in net.names.dropFirst() { self.fill(net, owner, 1_500) }
        net.cuts = Set(net.names.dropFirst().map { ["s0", $0] })
        for one in net.names.dropFirst() {
            for other in net.names.dropFirst() where one != other { net.join(one, other) }
        }
        net.settle()
        let once = net.registry("s1").others.values.reduce(net.registry("s1").mine) { $0.liveCount > $1.liveCount ? $0 : $1 }
        let bytes = 4 * once.entries.values.reduce(0) { $0 + $1.size }
        net.cuts = []
        let trips = self.join(net)
        print("join of a cluster that knows all: \(bytes) bytes of entries, \(net.sent.bytes) sent, \(trips) one-way trips")
        #expect(net.isConverged)
        #expect(net.sent.bytes <= bytes + 10_000)
    }

    @Test func aFarAwayNewcomerGetsAllFromOne() {
        let net = RegistryNet(3)
        self.fill(net, "s1", 6_000)
        net.cut("s0", "s1")
        net.join("s2", "s1")
        net.settle()
        #expect(net.registry("s2").entryCount == 6_000)
        net.sent = (0, 0)
        net.countsBytes = true
        net.join("s0", "s2")
        net.settle()
        #expect(net.registry("s0").entryCount == 0, "a peer that has just been linked is asked for its own entries")
        var rng = RegistryRandom(seed: 1)
        net.round(&rng)
        #expect(net.registry("s0").entryCount == 6_000)
        #expect(net.sent.bytes < 6_000 * 130)
    }

    @Test func anIdleSecondCostsTheSameWithManyEntries() {
        var costs: [Int] = []
        for count in [1, 3_000] {
            let net = RegistryNet(3)
            var rng = RegistryRandom(seed: 1)
            self.fill(net, "s1", count)
            for name in net.names {
                for peer in net.names where peer != name { net.join(name, peer) }
            }
            net.settle()
            net.sent = (0, 0)
            net.countsBytes = true
            for _ in 0..<10 { net.round(&rng) }
            costs.append(net.sent.bytes)
            #expect(net.sent.messages == 30)
        }
        print("idle: \(costs[0] / 30) bytes for each server and second")
        #expect(costs[0] == costs[1])
    }

    @Test func aChangeCostsOneSmallMessageForEachPeer() {
        let net = RegistryNet(5)
        self.fill(net, "s0", 10)
        net.countsBytes = true
        net.sent = (0, 0)
        net.act("s0") { $0.set(.sample("worker-1.s0.example"), self.record(99), peers: $1, now: $2) }
        #expect(net.sent.messages == 4)
        #expect(net.sent.bytes <= 4 * 200)
    }

    /// Keys that come and go leave nothing behind, at the owner or elsewhere.
    @Test func comingAndGoingLeavesNothingBehind() {
        let net = RegistryNet(2)
        net.set("s0", "stays", 1)
        for round in 0..<2_000 {
            net.set("s0", "a", round)
            net.set("s0", "a", nil)
            net.settle()
        }
        for entries in [net.registry("s0").mine, net.registry("s1").others["s0"]] {
            #expect(entries?.entries.count == 2)
            #expect((entries?.order.places.count ?? .max) < 100)
            #expect((entries?.tombstones.count ?? .max) < 100)
        }
    }

    /// Wherever an answer is cut, what arrived is whole, and the next question goes on from there.
    @Test(arguments: [230, 300, 451, 700, 1_024]) func aDeltaMayBeCutAnywhere(limit: Int) {
        let net = RegistryNet(2) {
            $0.deltaLimit = limit
            $0.deltasPerDigest = 1
        }
        self.fill(net, "s1", 40)
        for number in [3, 9, 27] { net.set("s1", "worker-\(number).s1.example", nil) }
        net.waiting = []
        net.join("s0", "s1")
        var questions = 0
        while !net.waiting.isEmpty {
            net.deliver(at: 0)
            guard let known = net.registry("s0").others["s1"], !known.entries.isEmpty else { continue }
            questions += 1
            let owner = net.registry("s1").mine
            for (key, entry) in known.entries {
                #expect(owner.entries[key]?.version == entry.version)
                #expect(owner.entries[key]?.record == entry.record)
            }
            let upTo = known.version
            #expect(known.entries.count == owner.entries.values.count { $0.version <= upTo }, "all up to \(upTo), and no more")
        }
        #expect(questions > 3)
        #expect(net.visible(at: "s0") == net.visible(at: "s1"))
    }
}
