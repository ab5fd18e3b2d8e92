import Testing
import Timing
import TunnelWire

@testable import TunnelServer

@Suite struct PortTableTests {
    private var table = PortTable()
    private let start = Moment(nanoseconds: 1_000_000_000)

    /// A registration as `server` tells of it: `kubelet` on a port, claimed at some time.
    private mutating func claim(
        _ port: UInt16, by client: String, at server: String = "a", since time: UInt64 = 10, isHealthy: Bool = true
    ) {
        self.register(client, at: server, .fixed(port, claimedAt: time), isHealthy: isHealthy)
    }

    private mutating func register(
        _ client: String, at server: String, _ port: ExposureRecord.Port, isHealthy: Bool = true, now: Moment? = nil
    ) {
        let record = ClientRecord(
            installation: WireID(high: 1, low: 1), instance: WireID(high: 1, low: 2), address: "", since: 0,
            exposures: [ExposureRecord(name: "kubelet", port: port, isHealthy: isHealthy)])
        self.table.set(PortTable.Source(server: server, client: client), record, now: now ?? self.start)
    }

    private mutating func leave(_ client: String, at server: String, after time: Duration = .zero) {
        self.table.set(PortTable.Source(server: server, client: client), nil, now: self.start + time)
    }

    private func holder(_ client: String) -> PortHolder { PortHolder(client: client, exposure: "kubelet") }

    private func grant(_ port: UInt16, to client: String, _ term: UInt64, _ sequence: UInt64) -> MappedPort {
        MappedPort(
            port: port, client: client, installation: WireID(high: 1, low: 1), exposure: "kubelet",
            token: Ballot(term: term, sequence: sequence))
    }

    @Test mutating func theOlderClaimWins() {
        self.claim(20_001, by: "w2", at: "a", since: 20)
        #expect(self.table.holder(of: 20_001) == self.holder("w2"))
        self.claim(20_001, by: "w1", at: "b", since: 30)
        #expect(self.table.holder(of: 20_001) == self.holder("w2"))
        self.claim(20_001, by: "w3", at: "c", since: 5)
        #expect(self.table.holder(of: 20_001) == self.holder("w3"))
    }

    /// Every server has to come to the same, in whichever order it hears of the claims.
    @Test mutating func ofTwoClaimsAtTheSameTimeTheLesserNameWins() {
        self.claim(20_001, by: "w2", at: "a")
        self.claim(20_001, by: "w1", at: "b")
        #expect(self.table.holder(of: 20_001) == self.holder("w1"))
        #expect(self.table.claimedAt(20_001, by: self.holder("w2")) == 10)
        self.leave("w1", at: "b")
        #expect(self.table.holder(of: 20_001) == self.holder("w2"), "whoever is there comes before whoever left")
    }

    @Test mutating func aPortIsKeptForAMinute() {
        self.claim(20_001, by: "w1")
        self.leave("w1", at: "a")
        #expect(self.table.holder(of: 20_001) == self.holder("w1") && self.table.isWanted(20_001))
        #expect(self.table.firmHolder(of: 20_001) == nil, "another client may have it")
        self.table.expire(now: self.start + .seconds(59))
        #expect(self.table.holder(of: 20_001) != nil)
        #expect(self.table.nextLingerEnd == self.start + .seconds(60))
        self.table.expire(now: self.start + .seconds(60))
        #expect(self.table.holder(of: 20_001) == nil && self.table.all.isEmpty && self.table.nextLingerEnd == nil)
    }

    @Test mutating func aClientThatMovesKeepsItsPort() {
        self.claim(20_001, by: "w1", at: "a")
        self.claim(20_001, by: "w1", at: "b")
        self.leave("w1", at: "a")
        #expect(self.table.firmHolder(of: 20_001) == self.holder("w1") && self.table.nextLingerEnd == nil)
    }

    /// It is there and does not name the port any more: it has given it up, at once.
    @Test mutating func aPortThatIsNamedNoLongerIsFree() {
        self.claim(20_001, by: "w1")
        _ = self.table.takeChanged()
        self.register("w1", at: "a", .none)
        #expect(self.table.holder(of: 20_001) == nil)
        #expect(self.table.takeChanged() == [20_001])
    }

    @Test mutating func itListensWhileOneTargetIsUp() {
        self.claim(20_001, by: "w1", at: "a", isHealthy: false)
        #expect(!self.table.isWanted(20_001))
        self.claim(20_001, by: "w1", at: "b", isHealthy: true)
        #expect(self.table.isWanted(20_001))
    }

    @Test mutating func anAssignmentComesBeforeAClaim() {
        self.claim(20_001, by: "w1")
        self.table.assign([self.grant(20_001, to: "w2", 1, 1)])
        #expect(self.table.holder(of: 20_001) == self.holder("w2"))
        #expect(self.table.assignedPort(of: self.holder("w2")) == 20_001)
    }

    /// What a server heard of stays true for it: an older message cannot bring an older holder back.
    @Test mutating func aLowerTokenIsRefused() {
        self.table.assign([self.grant(20_001, to: "w1", 2, 5)])
        self.table.assign([self.grant(20_001, to: "w2", 2, 4)])
        #expect(self.table.holder(of: 20_001) == nil, "neither: the list is whole, and this entry is not believed")
        self.table.assign([self.grant(20_001, to: "w3", 3, 1)])
        #expect(self.table.holder(of: 20_001) == self.holder("w3"))
    }

    @Test mutating func anEndedGrantStaysEnded() {
        self.table.assign([self.grant(20_001, to: "w1", 2, 5)])
        self.table.unassign(20_001, token: Ballot(term: 3, sequence: 0))
        #expect(self.table.holder(of: 20_001) == nil && self.table.assignedPort(of: self.holder("w1")) == nil)
        self.table.assign([self.grant(20_001, to: "w1", 2, 5)])
        #expect(self.table.holder(of: 20_001) == nil)
    }

    @Test mutating func anAssignedPortFollowsTheHealthOfItsExposure() {
        self.table.assign([self.grant(20_001, to: "w1", 1, 1)])
        #expect(self.table.isWanted(20_001), "whoever connects waits for the client")
        self.register("w1", at: "a", .assigned, isHealthy: false)
        #expect(!self.table.isWanted(20_001))
        self.leave("w1", at: "a")
        #expect(self.table.isWanted(20_001))
    }
}
