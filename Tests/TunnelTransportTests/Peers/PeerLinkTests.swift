import Foundation
import Identity
import NIOCore
import NIOPosix
import Testing
import Timing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Control links: how they end, and what they refuse.
    @Suite struct PeerLinkTests {
        /// Two ends whose control link goes by way of a proxy that can break it.
        private func linked(
            _ change: (inout PeerEnd.Options, inout PeerEnd.Options) -> Void = { _, _ in },
            _ body: (PeerEnd, PeerEnd, BreakableProxy) async throws -> Void
        ) async throws {
            try await PeerEnd.with(PeerEnd.pair(change)) { ends in
                let proxy = try await BreakableProxy.start(target: ends[1].port, group: ends[0].group)
                _ = try await ends[0].dialControl(port: proxy.port).get()
                let far = ends[1].controlLogs
                try await eventually("the link is accepted") { far.accepted.count == 1 }
                try await body(ends[0], ends[1], proxy)
                try await proxy.stop()
            }
        }

        @Test func aLinkThatIsClosedSaysWhy() async throws {
            try await self.linked { near, far, _ in
                try await near.control.eventLoop.run {
                    near.control.value.links.first?.close(Close(.shutdown, "upgrade"))
                }
                let there = far.controlLogs
                try await eventually("the other end hears it") { there.ends.entries == [.announced(Close(.shutdown, "upgrade"))] }
                let here = near.controlLogs
                #expect(here.ends.entries.isEmpty)
            }
        }

        /// A killed process, as its kernel shows it: an RST, or a FIN without a CLOSE.
        @Test(arguments: [BreakableProxy.Cut.reset, .finish]) func aLinkThatBreaksSaysNothing(
            cut: BreakableProxy.Cut
        ) async throws {
            try await self.linked { near, far, proxy in
                proxy.cutNow(cut)
                for end in [near, far] {
                    let control = end.controlLogs
                    try await eventually("the end is noticed") { control.ends.count == 1 }
                    guard case .broken = control.ends.entries[0] else { throw Overdue(description: "\(control.ends.entries)") }
                }
            }
        }

        @Test func aLinkThatGoesSilentIsGivenUp() async throws {
            let quick: (inout PeerEnd.Options, inout PeerEnd.Options) -> Void = { near, far in
                near.pace = PeerPace(interval: .milliseconds(40), silence: .milliseconds(300))
                far.pace = near.pace
            }
            try await self.linked(quick) { near, far, proxy in
                // It lives by its PINGs alone, for longer than it may be silent.
                let before = ContinuousClock.now
                while ContinuousClock.now - before < .milliseconds(900) { try await Task.sleep(for: .milliseconds(20)) }
                #expect(try await near.sendControl([1]) == 1)
                #expect(try await far.sendControl([1]) == 1)
                proxy.cutNow(.silence)
                for end in [near, far] {
                    let control = end.controlLogs
                    try await eventually("the silence is noticed") { control.ends.entries == [.silent] }
                }
            }
        }

        @Test func whatALinkCannotTakeIsDropped() async throws {
            let patient: (inout PeerEnd.Options, inout PeerEnd.Options) -> Void = { near, far in
                near.pace = PeerPace(interval: .milliseconds(500), silence: .seconds(60))
                far.pace = near.pace
            }
            try await self.linked(patient) { near, _, proxy in
                proxy.cutNow(.silence)
                let message = ByteBuffer(repeating: 1, count: 56 << 10)
                var taken = 0
                let bound = 2_000
                try await eventually("a message is dropped") {
                    try await near.control.eventLoop.run { near.control.value.links.first?.send(message) } == false
                }
                // Nothing moves any more: all that come are dropped, and the link is still one.
                for _ in 0..<bound {
                    if try await near.control.eventLoop.run({ near.control.value.links.first?.send(message) }) == true {
                        taken += 1
                    }
                }
                #expect(taken < 16, "\(taken) of \(bound) were taken by a link that nobody reads")
                let control = near.controlLogs
                #expect(control.ends.entries.isEmpty)
            }
        }

        @Test func aControlLinkCarriesNothingElse() async throws {
            let frames: [ByteBuffer] = [
                GoAway(deadlineMilliseconds: 1, reason: "x").frame(), Gossip.fragment(ByteBuffer(), hasMore: false).frame(),
                Open(destination: .service("x"), source: "").frame(stream: 1), LinkFrames.ack(1),
                ClusterFrame(ByteBuffer(repeating: 1, count: ClusterLimits.controlMessage + 1)).frame(),
            ]
            for frame in frames {
                try await PeerEnd.with(PeerEnd.pair()) { ends in
                    let loop = ends[0].control.eventLoop
                    let dialer = UncheckedBox(
                        LinkDialer(
                            eventLoop: loop, tls: try .dialer(), party: ends[0].party,
                            credential: .clusterSecret(try Token(PeerEnd.secret)), pins: CertificatePins([]),
                            connectTimeout: .seconds(5), handshakeLimit: .seconds(5), localAddress: nil, purpose: .peerControl))
                    let port = ends[1].port
                    loop.execute {
                        dialer.value.dial(host: "127.0.0.1", port: port) { result in
                            guard case .success(let dialed) = result else { return }
                            dialed.link.write(frame)
                            dialed.link.flush()
                        }
                    }
                    let control = ends[1].controlLogs
                    try await eventually("the link ends") { control.ends.count == 1 }
                    guard case .violation = control.ends.entries[0] else { throw Overdue(description: "\(control.ends.entries)") }
                }
            }
        }

        /// CLUSTER and GOSSIP are for servers among themselves.
        @Test(arguments: [
            ClusterFrame(ByteBuffer(bytes: [1])).frame(), Gossip.fragment(ByteBuffer(bytes: [1]), hasMore: false).frame(),
            Gossip.credit(1).frame(),
        ]) func aClientThatTalksLikeAPeerIsCutOff(frame: ByteBuffer) async throws {
            try await TunnelBed.with { bed in
                let client = try await bed.client()
                try await client.loop.run {
                    client.driver?.link?.write(frame)
                    client.driver?.link?.flush()
                }
                try await eventually("the session is over at both ends") {
                    let ends = client.events.entries.compactMap { event -> Close? in
                        if case .ended(.closedByPeer(let close)) = event { close } else { nil }
                    }
                    return ends.map(\.code) == [.protocolViolation]
                }
                let isViolation = bed.serverEvents.entries.contains { event in
                    if case .ended(.violation(let error)) = event { error.kind == .unexpected } else { false }
                }
                #expect(isViolation)
            }
        }

        /// A server that talks to a client like to a peer.
        @Test func aClientTakesNoGossip() async throws {
            try await TunnelBed.with { bed in
                let client = try await bed.client()
                for host in bed.hosts {
                    try await host.eventLoop.run {
                        for entry in host.value.sessions.values { entry.driver.send(.gossip(.credit(1))) }
                    }
                }
                try await eventually("the client ends the session") {
                    client.events.entries.contains { event in
                        if case .ended(.violation(let error)) = event { error.kind == .unexpected } else { false }
                    }
                }
            }
        }
    }
}

/// The times of a control link, without sockets.
@Suite struct PeerLivenessTests {
    private func at(_ milliseconds: Int) -> Moment { Moment(nanoseconds: Int64(milliseconds) * 1_000_000) }

    @Test func aPingIsDueAtOnceAndThenEachInterval() {
        var liveness = PeerLiveness(PeerPace(), now: self.at(0))
        #expect(liveness.tick(now: self.at(0)) == .pingDue)
        #expect(liveness.nextTick == self.at(500))
        liveness.heard(now: self.at(400))
        #expect(liveness.tick(now: self.at(450)) == .fine)
        #expect(liveness.tick(now: self.at(500)) == .pingDue)
    }

    @Test func whatIsHeardPutsSilenceOff() {
        var liveness = PeerLiveness(PeerPace(), now: self.at(0))
        for beat in 1...20 {
            #expect(liveness.tick(now: self.at(beat * 500)) == .pingDue)
            if beat <= 10 { liveness.heard(now: self.at(beat * 500)) }
            if beat == 15 { break }
        }
        #expect(liveness.nextTick <= self.at(8_000))
        #expect(liveness.tick(now: self.at(7_999)) != .silent)
        #expect(liveness.tick(now: self.at(8_000)) == .silent)
    }

    /// A process that was stopped for ten seconds has not listened for ten seconds.
    @Test func timeThatNobodyWatchedIsNotSilence() {
        var liveness = PeerLiveness(PeerPace(), now: self.at(0))
        #expect(liveness.tick(now: self.at(500)) == .pingDue)
        #expect(liveness.tick(now: self.at(10_500)) == .pingDue)
        #expect(liveness.nextTick == self.at(11_000))
        #expect(liveness.tick(now: self.at(11_000)) == .pingDue)
        #expect(liveness.tick(now: self.at(11_500)) == .pingDue)
        #expect(liveness.tick(now: self.at(12_000)) == .silent)
    }

    @Test func theRoundTripIsSmoothed() {
        var liveness = PeerLiveness(PeerPace(), now: self.at(0))
        liveness.answered(mark: self.at(0), now: self.at(8))
        #expect(liveness.roundTrip == .milliseconds(8))
        liveness.answered(mark: self.at(100), now: self.at(116))
        #expect(liveness.roundTrip == .milliseconds(9))
        // From the future, or from a link long gone.
        liveness.answered(mark: self.at(200), now: self.at(116))
        liveness.answered(mark: self.at(0), now: self.at(60_000))
        #expect(liveness.roundTrip == .milliseconds(9))
    }
}
