import Settings
import Testing
import Timing
import TunnelSession
import TunnelWire

@testable import TunnelClient

/// A generator whose numbers are known: SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// `10.0.0.N:17000`.
func literal(_ number: Int) throws -> HostPort { try #require(HostPort("10.0.0.\(number):17000")) }

/// A plan, its clock and its dice, so that a test reads as what happens.
struct PlanScript {
    var plan: LinkPlan
    var rng: SplitMix
    var now = Moment(nanoseconds: 1_000_000_000)

    init(links: Int = 2, _ entries: [HostPort], seed: UInt64 = 1) {
        self.plan = LinkPlan(links: links)
        self.rng = SplitMix(state: seed)
        self.plan.setEntries(entries, now: self.now, using: &self.rng)
    }

    /// Everything to do at this moment.
    mutating func steps() -> [LinkPlan.Step] {
        var steps: [LinkPlan.Step] = []
        while steps.count < 1_000, let step = self.plan.next(now: self.now, using: &self.rng) { steps.append(step) }
        #expect(steps.count < 1_000, "the plan spins")
        if let timer = self.plan.nextTimer { #expect(timer > self.now) }
        return steps
    }

    /// The endpoints to dial at this moment; nothing else may be asked for.
    mutating func dials() -> [Endpoint] {
        self.steps().compactMap { step in
            if case .dial(let endpoint) = step { return endpoint }
            Issue.record("\(step) instead of a dial")
            return nil
        }
    }

    /// The endpoints to dial at this moment, so many.
    mutating func dials(_ count: Int) throws -> [Endpoint] {
        let dialled = self.dials()
        try #require(dialled.count == count)
        return dialled
    }

    /// The first endpoint to dial at this moment.
    mutating func firstDial() throws -> Endpoint {
        let dialled = self.dials()
        return try #require(dialled.first)
    }

    /// Lets time pass as the driver would, and gathers what is dialled on the way; with when.
    mutating func pass(_ span: Duration) -> [(endpoint: Endpoint, at: Moment)] {
        let end = self.now + span
        var dialled = self.dials().map { ($0, self.now) }
        while let timer = self.plan.nextTimer, timer <= end {
            self.now = timer
            dialled += self.dials().map { ($0, self.now) }
        }
        self.now = end
        return dialled + self.dials().map { ($0, self.now) }
    }

    mutating func meet(_ server: Int, at endpoint: Endpoint) -> LinkPlan.Verdict {
        self.plan.verdict(on: Self.id(server), at: endpoint, now: self.now)
    }

    mutating func begin(_ endpoint: Endpoint, server: Int) {
        self.plan.sessionBegan(endpoint, server: Self.id(server), name: "server-\(server)", now: self.now, using: &self.rng)
    }

    mutating func fail(_ endpoint: Endpoint, _ failure: LinkPlan.DialFailure = .unreachable) {
        self.plan.dialFailed(endpoint, failure, now: self.now, using: &self.rng)
    }

    mutating func lose(_ endpoint: Endpoint) { self.plan.linkLost(endpoint, now: self.now, using: &self.rng) }

    mutating func hurry() { self.plan.hurry(now: self.now, using: &self.rng) }

    @discardableResult
    mutating func end(_ endpoint: Endpoint, _ kind: LinkPlan.SessionEndKind = .other) -> Duration? {
        self.plan.sessionEnded(endpoint, kind, now: self.now, using: &self.rng)
    }

    mutating func review(
        _ endpoint: Endpoint, usable: Bool = true, idle: Bool = true, active: Bool = false, roundTrip: Duration? = nil
    ) {
        self.plan.review(
            endpoint, isUsable: usable, isIdle: idle, isActive: active, roundTrip: roundTrip, now: self.now, using: &self.rng)
    }

    mutating func resolved(_ entry: HostPort, _ addresses: [String]) {
        self.plan.resolved(entry, addresses, now: self.now, using: &self.rng)
    }

    /// Dials the first endpoints and lets every one lead to a server of its own: the numbers are those of the addresses.
    mutating func connectAll() throws -> [Endpoint] {
        let dialled = try self.dials(min(self.plan.links, self.plan.endpoints.count))
        for endpoint in dialled { self.begin(endpoint, server: Self.server(of: endpoint)) }
        return dialled
    }

    static func server(of endpoint: Endpoint) -> Int {
        Int(endpoint.target.host.description.split(separator: ".").last ?? "") ?? 0
    }

    static func id(_ server: Int) -> WireID { WireID(high: 7, low: UInt64(server)) }
}
