import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// Short stories, told step by step.
@Suite struct RegistryScriptTests {
    private func part(
        of owner: ServerName = "s1", generation: UInt64 = 1, _ range: ClosedRange<UInt64>, asOf: UInt64? = nil,
        collected: UInt64 = 0,
        _ entries: [(UInt64, String, Int?)]
    ) -> RegistryMessage {
        let entries = entries.map { RegistryEntry(key: .sample($0.1), version: $0.0, record: $0.2.map { .sample($0) }) }
        return .delta(
            RegistryDelta(parts: [
                RegistryDelta.Part(
                    owner: owner, generation: generation, base: range.lowerBound, upTo: range.upperBound,
                    asOf: asOf ?? range.upperBound, collected: collected, entries: entries)
            ]))
    }

    private func receive(_ net: RegistryNet, _ message: RegistryMessage, from peer: ServerName = "s1") {
        net.hand(RegistryNet.Envelope(from: peer, to: "s0", message: message))
    }

    @Test func aChangeIsPushedToAllAtOnce() {
        let net = RegistryNet(3)
        net.set("s0", "a", 1)
        #expect(net.sent.messages == 2)
        net.settle()
        for name in ["s1", "s2"] {
            #expect(net.told(name) == ["s0/a=1"])
            #expect(net.registry(name).record("s0", .sample("a")) == .sample(1))
        }
        net.set("s0", "a", nil)
        net.settle()
        #expect(net.told("s1") == ["s0/a gone"])
        #expect(net.registry("s1").entryCount == 0)
        #expect(net.told("s0").isEmpty, "own entries are not reported")
    }

    @Test func withoutAChangeNothingIsSaid() {
        let net = RegistryNet(2)
        net.set("s0", "a", 1)
        net.set("s0", "a", 1)
        net.set("s0", "b", nil)
        #expect(net.sent.messages == 1)
        #expect(net.registry("s0").versions()["s0"]?.version == 1)
    }

    @Test func aLostPushIsRepairedByTheNextExchange() {
        let net = RegistryNet(2)
        var rng = RegistryRandom(seed: 1)
        net.set("s0", "a", 1)
        net.waiting = []
        net.set("s0", "b", 2)
        net.settle()
        #expect(net.visible(at: "s1").isEmpty, "what begins above a gap is of no use")
        net.round(&rng)
        #expect(net.visible(at: "s1") == ["s0/a=1", "s0/b=2"])
    }

    @Test func anExchangeGoesBothWaysAndEndsByItself() {
        let net = RegistryNet(2)
        net.set("s0", "a", 1)
        net.set("s1", "b", 2)
        net.waiting = []
        net.join("s0", "s1")
        #expect(net.settle())
        #expect(net.isConverged)
        #expect(net.visible(at: "s0") == ["s0/a=1", "s1/b=2"])
        // A digest, what s0 lacks with a digest, what s1 lacks.
        #expect(net.sent.messages == 2 + 4)
        net.join("s0", "s1")
        net.settle()
        #expect(net.sent.messages == 2 + 4 + 1, "when both know the same, one digest is all")
    }

    @Test func anyonePassesOnTheEntriesOfAnyone() {
        let net = RegistryNet(3)
        var rng = RegistryRandom(seed: 2)
        net.cut("s0", "s2")
        net.set("s0", "a", 1)
        for _ in 0..<4 { net.round(&rng) }
        #expect(net.visible(at: "s2") == ["s0/a=1"])
    }

    @Test func ownersAreFoundByKey() {
        let net = RegistryNet(3)
        net.set("s2", "a", 2)
        net.set("s0", "a", 1)
        net.set("s1", "b", 3)
        net.settle()
        for name in net.names {
            #expect(net.registry(name).owners(of: .sample("a")).map(\.owner) == ["s0", "s2"])
            #expect(net.registry(name).owners(of: .sample("a")).map(\.record) == [.sample(1), .sample(2)])
        }
        net.hide("s0", at: "s1")
        #expect(net.registry("s1").owners(of: .sample("a")).map(\.owner) == ["s2"])
    }

    @Test func aLaterLifeTakesThePlaceOfTheEarlierOne() {
        let net = RegistryNet(2)
        net.set("s1", "a", 1)
        net.set("s1", "b", 2)
        net.settle()
        _ = net.told("s0")
        self.receive(net, self.part(generation: 3, 0...1, [(1, "b", 2)]))
        #expect(net.told("s0") == ["s1/a gone"])
        self.receive(net, self.part(generation: 2, 0...9, [(9, "c", 9)]))
        #expect(net.visible(at: "s0") == ["s1/b=2"], "what is said of an earlier life is ignored")
    }

    @Test func aServerThatRestartedWithNothingIsEmptyEverywhere() {
        let net = RegistryNet(2)
        net.set("s1", "a", 1)
        net.settle()
        net.start("s1", generation: 2)
        net.join("s1", "s0")
        net.settle()
        #expect(net.visible(at: "s0").isEmpty)
        #expect(net.isConverged)
    }

    @Test func aHigherGenerationPublishesTheSameAnew() {
        let net = RegistryNet(2)
        net.set("s1", "a", 1)
        net.settle()
        // It lost its disk: nobody believes its first generation until it exceeds the one that they know.
        net.start("s1", generation: 1)
        net.act("s0") { $0.raise(generation: 1, peers: $1, now: $2) }
        #expect(net.waiting.isEmpty, "no higher generation, no change")
        net.set("s1", "b", 2)
        net.set("s1", "c", 3)
        net.set("s1", "c", nil)
        net.waiting = []
        net.act("s1") { $0.raise(generation: 2, peers: $1, now: $2) }
        net.settle()
        #expect(net.visible(at: "s0") == ["s1/b=2"])
        #expect(net.registry("s0").versions()["s1"] == RegistryVersion(generation: 2, version: 1))
    }

    @Test func aGenerationThatWasUsedBeforeIsOutrun() {
        let net = RegistryNet(3)
        for value in 1...5 { net.set("s1", "k\(value)", value) }
        net.settle()
        // An older copy of the state directory: the same generation, another content.
        net.start("s1", generation: 1)
        net.set("s1", "k2", 20)
        net.settle()
        net.join("s1", "s0")
        net.join("s1", "s2")
        #expect(net.settle())
        for name in net.names { #expect(net.visible(at: name) == ["s1/k2=20"]) }
        #expect(net.isConverged)
    }

    @Test func whatOthersSayOfOwnEntriesIsNeverApplied() {
        let net = RegistryNet(2)
        net.set("s0", "a", 1)
        self.receive(net, self.part(of: "s0", generation: 9, 0...2, [(1, "a", 7), (2, "x", 8)]))
        self.receive(net, self.part(of: "s0", generation: 1, 1...2, [(2, "x", 8)]))
        #expect(net.visible(at: "s0") == ["s0/a=1"])
        #expect(net.told("s0").isEmpty)
    }

    @Test func tombstonesAreCollectedEverywhere() {
        let net = RegistryNet(2) { $0.tombstoneAge = .seconds(10) }
        var rng = RegistryRandom(seed: 3)
        net.set("s0", "a", 1)
        net.set("s0", "a", nil)
        net.set("s0", "b", 2)
        net.settle()
        #expect(net.registry("s1").heldCount == 2)
        for _ in 0..<10 { net.round(&rng) }
        #expect(net.registry("s1").heldCount == 2, "not before they are old enough")
        for _ in 0..<2 { net.round(&rng) }
        for name in net.names { #expect(net.registry(name).heldCount == 1) }
        #expect(net.isConverged)
    }

    @Test func whoMissedACollectedTombstoneStartsFromNothing() {
        let net = RegistryNet(2) { $0.tombstoneAge = .seconds(10) }
        var rng = RegistryRandom(seed: 4)
        net.set("s0", "a", 1)
        net.set("s0", "b", 2)
        net.settle()
        net.cut("s0", "s1")
        net.set("s0", "a", nil)
        for _ in 0..<12 { net.round(&rng) }
        #expect(net.registry("s0").heldCount == 1)
        _ = net.told("s1")
        net.heal("s0", "s1")
        net.settle()
        #expect(net.told("s1") == ["s0/a gone"], "b was confirmed, it did not flicker")
        #expect(net.isConverged)
    }

    @Test func aCutResetKeepsWhatItHasNotReachedYet() {
        let net = RegistryNet(2)
        self.receive(net, self.part(0...4, [(1, "a", 1), (2, "b", 2), (3, "c", 3), (4, "d", 4)]))
        // c was deleted at 6, which is collected; b is another one since 7.
        self.receive(net, self.part(0...1, asOf: 8, collected: 6, [(1, "a", 1)]))
        #expect(net.visible(at: "s0") == ["s1/a=1", "s1/b=2", "s1/c=3", "s1/d=4"])
        #expect(net.registry("s0").versions()["s1"]?.version == 4, "what is claimed to readers does not go back")
        self.receive(net, self.part(0...3, asOf: 3, [(2, "b", 2), (3, "c", 3)]))
        self.receive(net, self.part(5...8, asOf: 8, collected: 6, [(7, "b", 7)]))
        #expect(
            net.visible(at: "s0") == ["s1/a=1", "s1/b=2", "s1/c=3", "s1/d=4"], "neither an old state nor a gap goes on with it")
        _ = net.told("s0")
        self.receive(net, self.part(1...4, asOf: 8, collected: 6, [(4, "d", 4)]))
        self.receive(net, self.part(4...8, asOf: 8, collected: 6, [(7, "b", 7)]))
        #expect(net.told("s0") == ["s1/b=7", "s1/c gone"])
        #expect(net.visible(at: "s0") == ["s1/a=1", "s1/b=7", "s1/d=4"])
    }

    @Test func theVersionsOfAKeyOnlyGrow() {
        let net = RegistryNet(2)
        self.receive(net, self.part(0...5, [(4, "b", 4), (5, "a", 5)]))
        // Whoever says that a is at 2 as of 8 contradicts the owner, who had it at 5.
        self.receive(net, self.part(0...3, asOf: 8, collected: 6, [(2, "a", 9)]))
        #expect(net.visible(at: "s0") == ["s1/a=5", "s1/b=4"])
    }

    @Test func aServerInTheMidstOfAResetPassesNothingOn() {
        let net = RegistryNet(2)
        self.receive(net, self.part(of: "s2", 0...1, asOf: 8, [(1, "a", 1)]), from: "s1")
        let ignorant = RegistryMessage.digest(
            RegistryDigest(
                owners: [RegistryDigest.Owner(name: "s0", generation: 1, version: 0, collected: 0)], wantsDigest: false))
        self.receive(net, ignorant)
        #expect(net.waiting.isEmpty)
        self.receive(net, self.part(of: "s2", 1...8, [(5, "b", 2)]), from: "s1")
        self.receive(net, ignorant)
        #expect(net.waiting.map(\.message.brief) == ["delta s2 1:(0, 8]/8 c0 [\"1=a\", \"5=b\"]"])
    }

    @Test func refusedRecordsCountAsNone() {
        let net = RegistryNet(2)
        let key = RegistryKey(.client, "a")
        net.set("s0", "a", 1)
        let exposures = (0..<2_000).map { ExposureRecord(name: "e\($0)", port: .none, isHealthy: true) }
        let huge = RegistryRecord.client(
            ClientRecord(
                installation: WireID(high: 0, low: 0), instance: WireID(high: 0, low: 0), address: "", since: 0,
                exposures: exposures))
        net.act("s0") { $0.set(key, huge, peers: $1, now: $2) }
        net.settle()
        #expect(net.visible(at: "s1").isEmpty)
        #expect(net.registry("s0").refusals == 1)
        let service = RegistryRecord.service(ServiceRecord(isHealthy: true, mayHedgeDial: false))
        net.act("s0") { $0.set(key, service, peers: $1, now: $2) }
        net.act("s0") { $0.set(RegistryKey(.client, "No Name"), .sample(1), peers: $1, now: $2) }
        #expect(net.registry("s0").refusals == 3)
        #expect(net.waiting.isEmpty)
    }

    @Test func beyondTheBoundsNothingIsTaken() {
        let net = RegistryNet(2) {
            $0.entries = 3
            $0.owners = 3
        }
        self.receive(net, self.part(0...2, [(1, "a", 1), (2, "b", 2)]))
        self.receive(net, self.part(2...4, [(3, "c", 3), (4, "d", 4)]))
        #expect(net.registry("s0").heldCount == 2)
        self.receive(net, self.part(2...4, [(3, "a", 3), (4, "c", 4)]))
        #expect(net.registry("s0").heldCount == 3)
        self.receive(net, self.part(of: "s2", 0...1, []), from: "s1")
        self.receive(net, self.part(of: "s3", 0...1, []), from: "s1")
        #expect(net.registry("s0").versions().keys.sorted() == ["s1", "s2"])
        net.set("s0", "z", 1)
        #expect(net.registry("s0").refusals == 1)
    }
}
