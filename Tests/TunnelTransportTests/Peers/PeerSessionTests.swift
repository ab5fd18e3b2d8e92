import Foundation
import Identity
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Data sessions between servers.
    @Suite struct PeerSessionTests {
        @Test func eachLoopHasItsSessionInItsPlace() async throws {
            let options = PeerEnd.pair { near, far in (near.loops, far.loops) = (4, 3) }
            try await PeerEnd.with(options) { ends in
                var dialled: [DialledPeer] = []
                for index in 0..<4 { dialled.append(try await DialledPeer(ends[0], loop: index, port: ends[1].port)) }
                for peer in dialled { try await peer.isUp() }
                // The loops 0 and 3 of the one end meet on the loop 0 of the other.
                var counts: [Int] = []
                for host in ends[1].peers {
                    counts.append(try await host.eventLoop.run { host.value.sessions.count })
                }
                #expect(counts == [2, 1, 1])
                #expect(ends[1].observer.kinds.isEmpty)
                for peer in dialled { try await peer.stop() }
            }
        }

        @Test func aMessageOfEightMegabytesAndABurstPass() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let peer = try await DialledPeer(ends[0], loop: 1, port: ends[1].port)
                try await peer.isUp()
                let host = ends[1].peers[1]
                let (messages, far) = try await host.eventLoop.run { (host.value.messages, UncheckedBox(host.value)) }
                let burst = (0..<8).map { ByteBuffer(repeating: UInt8($0), count: 56 << 10) }
                let whole = ByteBuffer(bytes: (0..<ClusterLimits.dataMessage).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
                let taken = try await peer.run { session in (burst + [whole]).map { session.send($0) } }
                #expect(taken.allSatisfy { $0 })
                // What has no credit yet waits outside the session, and is bounded.
                #expect(try await peer.run { $0.send(whole) } == false)
                try await eventually("all arrive") { messages.count == 9 }
                #expect(messages.entries == burst + [whole])
                #expect(try await peer.run { $0.gossipBytes } == 0)
                // The other way, an empty one too.
                let answered = try await host.eventLoop.run {
                    far.value.sessions.values.map { $0.send(ByteBuffer()) && $0.send(whole) }
                }
                #expect(answered == [true])
                try await eventually("the answers arrive") { peer.owner.messages.count == 2 }
                #expect(peer.owner.messages.entries == [ByteBuffer(), whole])
                try await peer.stop()
            }
        }

        @Test func aSessionGoesOnAfterItsLinkWasReset() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let proxy = try await BreakableProxy.start(target: ends[1].port, group: ends[0].controlGroup)
                let peer = try await DialledPeer(ends[0], loop: 0, port: proxy.port)
                try await peer.isUp()
                let host = ends[1].peers[0]
                let (messages, events) = try await host.eventLoop.run { (host.value.messages, host.value.events) }
                let sent = (0..<6).map { ByteBuffer(repeating: UInt8($0), count: 300_000) }
                proxy.cut(after: 700_000, .reset)
                let taken = try await peer.run { session in sent.map { session.send($0) } }
                #expect(taken.allSatisfy { $0 })
                try await eventually("all arrive, each once") { messages.count >= sent.count }
                #expect(messages.entries == sent)
                #expect(proxy.cuts == 1 && events.entries == ["began", "resumed"])
                let states = peer.owner.events.entries.filter { $0 == .began || $0 == .linked }
                #expect(states == [.began, .linked, .linked])
                try await peer.stop()
                try await proxy.stop()
            }
        }

        @Test func anotherInstanceGetsANewSession() async throws {
            let options = PeerEnd.pair() + [PeerEnd.Options(name: "server-b")]
            try await PeerEnd.with(options) { ends in
                let proxy = try await BreakableProxy.start(target: ends[1].port, group: ends[0].controlGroup)
                let peer = try await DialledPeer(ends[0], loop: 0, port: proxy.port)
                try await peer.isUp()
                // The same name restarts elsewhere.
                peer.move(to: ends[2].port)
                proxy.cutNow(.reset)
                try await eventually("a new session stands") {
                    peer.owner.events.entries.filter { $0 == .began }.count == 2
                }
                #expect(peer.owner.events.entries.contains(.ended(.peerGone)))
                let instance = ends[2].party.instance
                try await eventually("it is the new instance's") {
                    try await peer.run { $0.isUp && $0.peer?.instance == instance }
                }
                try await peer.stop()
                try await proxy.stop()
            }
        }

        @Test func aSessionThatTheRightInstanceForgotBeginsAnew() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let proxy = try await BreakableProxy.start(target: ends[1].port, group: ends[0].controlGroup)
                let peer = try await DialledPeer(ends[0], loop: 0, port: proxy.port)
                try await peer.isUp()
                try await ends[1].peers[0].eventLoop.run { ends[1].peers[0].value.forgetAll() }
                proxy.cutNow(.reset)
                try await eventually("a new session stands") { peer.owner.events.entries.filter { $0 == .began }.count == 2 }
                #expect(peer.owner.events.entries.contains(.ended(.peerGone)))
                try await peer.stop()
                try await proxy.stop()
            }
        }

        /// Refused twice: the process is gone. It may come back, and has a new session then.
        @Test func aSessionWhosePeerListensNoMoreEnds() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let proxy = try await BreakableProxy.start(target: ends[1].port, group: ends[0].controlGroup)
                let peer = try await DialledPeer(ends[0], loop: 0, port: proxy.port)
                try await peer.isUp()
                let listener = try RawSocket.listen()
                let nobody = listener.port
                listener.close()
                peer.move(to: nobody)
                proxy.cutNow(.reset)
                try await eventually("the session is over") { peer.owner.events.entries.contains(.ended(.peerGone)) }
                #expect(peer.owner.events.entries.contains(.cannotDial(.disconnected, isRefused: true)))
                peer.move(to: ends[1].port)
                try await eventually("another stands") { peer.owner.events.entries.filter { $0 == .began }.count == 2 }
                try await peer.stop()
                try await proxy.stop()
            }
        }

        @Test func aSessionWithoutALinkEndsWithItsWindow() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let proxy = try await BreakableProxy.start(target: ends[1].port, group: ends[0].controlGroup)
                let peer = try await DialledPeer(ends[0], loop: 0, port: proxy.port, window: .milliseconds(300))
                try await peer.isUp()
                proxy.setDown(true)
                proxy.cutNow(.reset)
                try await eventually("both ends give it up") {
                    let there = try await ends[1].peers[0].eventLoop.run { ends[1].peers[0].value.ends.entries }
                    return peer.owner.events.entries.contains(.ended(.resumeExpired)) && there == [.resumeExpired]
                }
                proxy.setDown(false)
                try await eventually("another stands") { peer.owner.events.entries.filter { $0 == .began }.count == 2 }
                try await peer.stop()
                try await proxy.stop()
            }
        }

        @Test func aVerdictEndsOnlyASessionWithoutALink() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let proxy = try await BreakableProxy.start(target: ends[1].port, group: ends[0].controlGroup)
                let peer = try await DialledPeer(ends[0], loop: 0, port: proxy.port, window: .seconds(60))
                try await peer.isUp()
                #expect(
                    try await peer.run { session in
                        session.peerIsDead()
                        return session.isUp
                    })
                proxy.setDown(true)
                proxy.cutNow(.reset)
                try await eventually("the link is lost") { try await peer.run { !$0.isUp } }
                let isOver = try await peer.run { session in
                    session.peerIsDead()
                    return session.driver == nil
                }
                #expect(isOver && peer.owner.events.entries.contains(.ended(.peerGone)))
                proxy.setDown(false)
                try await peer.run { $0.hurry() }
                try await eventually("another stands") { peer.owner.events.entries.filter { $0 == .began }.count == 2 }
                try await peer.stop()
                try await proxy.stop()
            }
        }

        @Test func streamsAreAskedForBothWays() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let peer = try await DialledPeer(ends[0], loop: 0, port: ends[1].port)
                try await peer.isUp()
                let refusals = Log<OpenProgress>()
                let open = Open(destination: .exposure(client: "worker-1", name: "kubelet"), isRelayed: true, source: "here")
                try await peer.run { session in
                    _ = try? session.driver?.request(open) { refusals.add($0) }
                }
                let there = ends[1].peers[0]
                try await there.eventLoop.run {
                    for entry in there.value.sessions.values { _ = try? entry.driver.request(open) { refusals.add($0) } }
                }
                try await eventually("both are refused") {
                    let ended = refusals.entries.filter { $0 != .accepted }
                    return Set(ended.map { "\($0)" }).count == 2
                }
                #expect(peer.owner.events.entries.contains(.asked(open.destination)))
                try await peer.stop()
            }
        }

        @Test func aPeerThatCannotBeReachedIsToldApart() async throws {
            try await PeerEnd.with([PeerEnd.Options()]) { ends in
                let listener = try RawSocket.listen()
                let nobody = listener.port
                listener.close()
                let peer = try await DialledPeer(ends[0], loop: 0, port: nobody)
                try await eventually("it was tried again and again") {
                    peer.owner.events.entries.filter { $0 == .cannotDial(.disconnected, isRefused: true) }.count >= 3
                }
                try await peer.stop()
                guard case .failure(let error) = try await ends[0].dialControl(port: nobody) else {
                    throw Overdue(description: "nobody answered")
                }
                #expect(error.isConnectionRefused)
            }
        }
    }
}

/// A `PeerSession` of one loop of an end.
final class DialledPeer: Sendable {
    let owner = TestPeerOwnerBox()
    private let loop: any EventLoop
    private let session: NIOLoopBound<PeerSession>
    private let port: NIOLockedValueBox<Int>

    init(_ end: PeerEnd, loop index: Int, port: Int, window: Duration = .seconds(5)) async throws {
        let (loop, owner) = (end.loops[index], self.owner)
        self.loop = loop
        let target = NIOLockedValueBox(port)
        self.port = target
        let secret = DialerCredential.clusterSecret(try Token(PeerEnd.secret))
        let tls = try TLSContext.dialer()
        self.session = try await loop.run {
            let environment = TransportEnvironment(eventLoop: loop, budget: end.budget, metrics: end.metrics)
            let setup = PeerSession.Setup(
                address: { ("127.0.0.1", target.withLockedValue { $0 }) },
                dialer: { PeerDialer(eventLoop: loop, tls: tls, party: end.party, credential: secret) },
                configuration: SessionConfiguration(), environment: environment, loop: index, resumeWindow: window)
            let session = PeerSession(setup, owner: owner.value, rng: SeededGenerator(seed: UInt64(index)))
            session.start()
            return NIOLoopBound(session, eventLoop: loop)
        }
    }

    func move(to port: Int) { self.port.withLockedValue { $0 = port } }

    func run<Value: Sendable>(_ body: @escaping @Sendable (PeerSession) -> Value) async throws -> Value {
        let session = self.session
        return try await self.loop.run { body(session.value) }
    }

    func isUp() async throws { try await eventually("the session stands") { try await self.run { $0.isUp } } }

    func stop() async throws { try await self.run { $0.stop(Close(.shutdown, "the test is over")) } }
}

/// Its logs may be looked at from anywhere; the owner itself is used on its loop alone.
final class TestPeerOwnerBox: @unchecked Sendable {
    let value = TestPeerOwner()
    var events: Log<TestPeerOwner.Event> { self.value.events }
    var messages: Log<ByteBuffer> { self.value.messages }
}
