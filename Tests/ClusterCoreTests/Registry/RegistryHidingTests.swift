import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// Owners that die, come back, and are forgotten.
@Suite struct RegistryHidingTests {
    /// s0 to s2 know of `a` at s2, which is then cut off and hidden by the others.
    private func afterDeath() -> RegistryNet {
        let net = RegistryNet(3) { $0.forgetAfter = .seconds(20) }
        net.set("s2", "a", 1)
        net.settle()
        for name in ["s0", "s1"] {
            net.cut(name, "s2")
            net.hide("s2", at: name)
        }
        return net
    }

    @Test func theEntriesOfTheDeadAreGoneForReaders() {
        let net = self.afterDeath()
        #expect(net.told("s0") == ["s2/a=1", "s2/a gone"])
        #expect(net.registry("s0").record("s2", .sample("a")) == nil)
        #expect(net.registry("s0").entryCount == 0)
        #expect(net.registry("s0").versions().isEmpty)
        net.hide("s2", at: "s0")
        #expect(net.told("s0").isEmpty)
    }

    @Test func whoComesBackIsReportedAgain() {
        let net = self.afterDeath()
        _ = net.told("s0")
        net.set("s2", "b", 2)
        net.heal("s0", "s2")
        net.settle()
        #expect(net.told("s0").isEmpty, "hidden entries are reconciled, but not reported")
        net.show("s2", at: "s0")
        #expect(net.told("s0") == ["s2/a=1", "s2/b=2"])
    }

    /// Found by the simulator: a server came back in another life, and for a moment the clients of the life before were there.
    @Test func whatAnEarlierLifePublishedDoesNotComeBack() {
        let net = self.afterDeath()
        _ = net.told("s0")
        let next = net.registry("s2").mine.generation + 1
        net.show("s2", generation: next, at: "s0")
        #expect(net.told("s0").isEmpty)
        #expect(net.registry("s0").entryCount == 0)
        // Nor from another server that has not heard of the new life.
        net.show("s2", at: "s1")
        net.settle()
        #expect(net.told("s0").isEmpty)
    }

    /// The same without a death in between: s0 hears of the next life first, and then from s1 what the one before had
    /// published last.
    @Test func whatAnEarlierLifePublishedIsNotLearntAnyMore() {
        let net = RegistryNet(3)
        net.set("s2", "a", 1)
        net.settle()
        for name in ["s1", "s2"] { net.cut("s0", name) }
        net.set("s2", "b", 2)
        net.settle()
        _ = net.told("s0")
        net.show("s2", generation: 2, at: "s0")
        #expect(net.visible(at: "s0") == ["s2/a=1"], "it may have kept its clients")
        net.heal("s0", "s1")
        var rng = RegistryRandom(seed: 6)
        for _ in 0..<4 { net.round(&rng) }
        #expect(net.told("s0").isEmpty)
        let before = net.sent.bytes
        net.countsBytes = true
        net.timer("s0", &rng)
        net.advance(.seconds(1))
        net.timer("s0", &rng)
        net.settle()
        #expect(net.sent.bytes - before < 300, "s1 does not tell of it again and again")
        // The next life, of which s0 hears from s1 alone, and which has published nothing.
        net.start("s2", generation: 2)
        for name in ["s1", "s2"] { net.join(name, name == "s1" ? "s2" : "s1") }
        net.settle()
        for _ in 0..<4 { net.round(&rng) }
        #expect(net.told("s0") == ["s2/a gone"])
        #expect(net.visible(at: "s1").isEmpty)
        net.set("s2", "c", 3)
        net.settle()
        for _ in 0..<4 { net.round(&rng) }
        #expect(net.told("s0") == ["s2/c=3"])
    }

    /// It was dead here when its earlier life published last; that is forgotten, and s1, which remembers, is asked in vain.
    @Test func theForgottenComeBackInTheirNextLifeAlone() {
        let net = self.afterDeath()
        var rng = RegistryRandom(seed: 2)
        net.show("s2", at: "s1")
        for _ in 0..<22 { net.round(&rng) }
        #expect(net.registry("s0").heldCount == 0)
        #expect(net.visible(at: "s1") == ["s2/a=1"])
        _ = net.told("s0")
        net.show("s2", generation: 2, at: "s0")
        for _ in 0..<4 { net.round(&rng) }
        #expect(net.told("s0").isEmpty)
    }

    @Test func ownEntriesCannotBeHidden() {
        let net = RegistryNet(1)
        net.set("s0", "a", 1)
        net.hide("s0", at: "s0")
        #expect(net.visible(at: "s0") == ["s0/a=1"])
    }

    @Test func theForgottenDoNotComeBackFromThoseWhoRemember() {
        let net = self.afterDeath()
        var rng = RegistryRandom(seed: 1)
        // s1 learns of the death much later than s0, so it forgets later.
        net.show("s2", at: "s1")
        for _ in 0..<15 { net.round(&rng) }
        net.hide("s2", at: "s1")
        for _ in 0..<10 { net.round(&rng) }
        #expect(net.registry("s0").heldCount == 0)
        #expect(net.registry("s1").heldCount == 1)
        let before = net.sent.messages
        for _ in 0..<5 { net.round(&rng) }
        #expect(net.sent.messages - before == 10, "a digest each, and no answer")
        #expect(net.registry("s0").heldCount == 0)
        for _ in 0..<10 { net.round(&rng) }
        #expect(net.registry("s1").heldCount == 0)
    }

    @Test func aNewcomerIsNotToldOfTheDead() {
        let net = self.afterDeath()
        net.start("s1", generation: 2)
        net.join("s1", "s0")
        net.join("s0", "s1")
        net.settle()
        var rng = RegistryRandom(seed: 5)
        for _ in 0..<4 { net.round(&rng) }
        #expect(net.registry("s1").heldCount == 0)
        #expect(net.visible(at: "s1").isEmpty)
    }

    @Test func theForgottenAreWelcomeWhenTheyLive() {
        let net = self.afterDeath()
        var rng = RegistryRandom(seed: 2)
        for _ in 0..<22 { net.round(&rng) }
        #expect(net.registry("s0").heldCount == 0)
        net.heal("s0", "s2")
        net.settle()
        #expect(net.registry("s0").heldCount == 0, "a link alone is no life")
        net.show("s2", at: "s0")
        net.settle()
        #expect(net.visible(at: "s0") == ["s2/a=1"])
    }

    @Test func aLaterLifeOfTheForgottenIsKept() {
        let net = self.afterDeath()
        var rng = RegistryRandom(seed: 3)
        for _ in 0..<22 { net.round(&rng) }
        net.start("s2", generation: 2)
        net.set("s2", "b", 2)
        net.heal("s0", "s2")
        net.settle()
        #expect(net.registry("s0").heldCount == 1)
        net.round(&rng)
        #expect(net.registry("s0").heldCount == 1, "its time begins anew")
        net.show("s2", at: "s0")
        #expect(net.visible(at: "s0") == ["s2/b=2"])
    }

    @Test func theOldestForgottenMakesRoom() {
        let net = RegistryNet(4) {
            $0.forgetAfter = .seconds(5)
            $0.owners = 3
        }
        var rng = RegistryRandom(seed: 4)
        for name in ["s1", "s2"] {
            net.set(name, "a", 1)
            net.settle()
            for observer in ["s0", "s3"] { net.hide(name, at: observer) }
            for _ in 0..<2 { net.round(&rng) }
        }
        net.cut("s0", "s1")
        net.cut("s0", "s2")
        net.set("s3", "a", 3)
        net.settle()
        #expect(!net.registry("s0").versions().keys.contains("s3"), "all the room is taken")
        for _ in 0..<6 { net.round(&rng) }
        #expect(net.registry("s0").forgotten.keys.sorted() == ["s2"])
        #expect(net.visible(at: "s0") == ["s3/a=3"])
    }
}
