import Foundation
import Identity
import NIOCore
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Links break, sessions go on.
    @Suite struct ResumeTests {
        /// Cuts the link again and again, at random bytes and in every way, under a transfer in both directions.
        @Test(arguments: [UInt64(1), 2]) func nothingIsLostOverManyCuts(seed: UInt64) async throws {
            let wanted = 30
            let (up, down) = (Pattern(seed: seed), Pattern(seed: seed + 100))
            var options = TunnelBed.Options.quickHeartbeat
            options.server.replayBuffer = 1 << 20
            options.client.replayBuffer = 1 << 20
            try await TunnelBed.with(options) { bed in
                let (arrived, returned) = (Log<Received>(), Log<Received>())
                let isOver = Log<Void>()
                // Both ends send until the cuts have been made, so that every cut falls into traffic.
                bed.service(
                    "both",
                    try Backend(keptBy: bed) { socket in
                        try socket.exchange(sending: down, until: { isOver.count > 0 }, receiving: up, arrived)
                    })
                let client = try await bed.client()
                let port = try await client.forward(to: "both").port
                async let transfer: Void = onThread {
                    try RawSocket.connect(port: port).exchange(
                        sending: up, until: { isOver.count > 0 }, receiving: down, returned)
                }
                var rng = SeededGenerator(seed: seed)
                for index in 0..<wanted {
                    let before = bed.proxy.passed
                    try await eventually("bytes pass after cut \(index)") { bed.proxy.passed > before + 200_000 }
                    // A silent link costs the heartbeat timeout, so that not every cut can be one.
                    let cut = index % 10 == 9 ? .silence : [BreakableProxy.Cut.reset, .finish][index % 2]
                    bed.proxy.cut(after: Int.random(in: 1...100_000, using: &rng), cut)
                    try await eventually("cut \(index) is made") { bed.proxy.isCutDone }
                }
                isOver.add(())
                try await transfer
                try await eventually("the backend has it all") { arrived.count == 1 }
                let (there, here) = (arrived.entries[0], returned.entries[0])
                #expect(there.firstDifference == nil && here.firstDifference == nil)
                #expect(there.end == .finished && here.end == .finished)
                #expect(there.digest == up.digest(there.count))
                #expect(here.digest == down.digest(here.count))
                let resumes = try await client.snapshot()?.resumes
                #expect(bed.proxy.cuts == wanted)
                #expect(resumes ?? 0 >= wanted)
                #expect(client.outcomes.entries == [.opened])
                #expect(bed.hostEvents.entries.filter { if case .began = $0 { true } else { false } }.count == 1)
            }
        }

        /// A cut in the middle of small, answered messages: none is repeated or left out.
        @Test func aConversationGoesOnOverCuts() async throws {
            try await TunnelBed.with(.quickHeartbeat) { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let socket = try await onThread { try RawSocket.connect(port: port) }
                for round in 0..<60 {
                    if round % 5 == 4 { bed.proxy.cutNow(round % 2 == 0 ? .reset : .finish) }
                    let text = "message \(round) of a conversation\n"
                    let answer = try await onThread {
                        try socket.send(text)
                        return try socket.receive(exactly: text.utf8.count)
                    }
                    try #require(String(decoding: answer, as: UTF8.self) == text)
                }
                let resumes = try await client.snapshot()?.resumes
                #expect(resumes ?? 0 >= 6)
            }
        }

        /// While bulk fills the link no PING can be written: the silence must be noticed all the same.
        @Test(arguments: [true, false]) func silenceIsNoticedWhileTheLinkIsFull(isUpload: Bool) async throws {
            let pattern = Pattern(seed: 9)
            try await TunnelBed.with(.quickHeartbeat) { bed in
                let (count, received) = (24 << 20, Log<Received>())
                bed.service(
                    "bulk",
                    isUpload
                        ? try Backend.sink(pattern, received, keptBy: bed)
                        : try Backend.source(pattern, count: count, keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "bulk").port
                async let transfer: Void = onThread {
                    let socket = try RawSocket.connect(port: port)
                    if isUpload {
                        try socket.send(pattern, count: count)
                        socket.finish()
                        _ = socket.drain()
                    } else {
                        received.add(socket.receive(pattern))
                    }
                }
                try await eventually("bytes pass") { bed.proxy.passed > 4 << 20 }
                bed.proxy.cutNow(.silence)
                try await transfer
                #expect(received.entries.map(\.count) == [count])
                #expect(received.entries.map(\.firstDifference) == [nil])
                let losses = client.events.entries + bed.serverEvents.entries
                #expect(losses.contains(.lostLink(.silent)))
            }
        }

        #if FAULTS
        /// A link that takes nothing must not make the loop run in circles over what is due, and is given up in time.
        @Test func aFullLinkCostsNoTurnsOfTheLoop() async throws {
            var options = TunnelBed.Options()
            options.client.replayBuffer = 64 << 20
            // What OPENED brought is to be acknowledged by the time that nothing can be written any more.
            options.client.acknowledgementDelay = .seconds(1)
            options.client.heartbeatTimeout = .seconds(4)
            options.server.heartbeatTimeout = .seconds(60)
            try await TunnelBed.with(options) { bed in
                let log = Log<Int>()
                bed.service("sink", try Backend(keptBy: bed) { log.add($0.drain().count) })
                let client = try await bed.client()
                let port = try await client.forward(to: "sink").port
                let sockets = try await onThread { try (0..<500).map { _ in try RawSocket.connect(port: port) } }
                try await eventually("all streams are open") { client.outcomes.count == sockets.count }
                #expect(try await client.loop.run { client.driver?.isLinkBlocked == false })
                bed.proxy.cutNow(.silence)
                // Every stream has its first 64 KiB of credit: together more than the kernel holds.
                let block = [UInt8](repeating: 7, count: 65_536)
                for socket in sockets { try await onThread { try socket.send(block) } }
                try await eventually("the link is full") { try await client.loop.run { client.driver?.isLinkBlocked == true } }
                try await Task.sleep(for: .seconds(1))
                let before = try await client.loop.run { client.driver?.timerFirings ?? 0 }
                try await Task.sleep(for: .milliseconds(500))
                let after = try await client.loop.run { client.driver?.timerFirings ?? 0 }
                // A few PINGs fall due; in circles there would be many thousand.
                #expect(after - before < 100)
                #expect(try await client.loop.run { client.driver?.isLinkBlocked == true })
                for socket in sockets { socket.finish() }
                try await eventually("everything arrived over the next link") { log.count == sockets.count }
                #expect(log.entries.allSatisfy { $0 == block.count })
                #expect(client.events.entries.contains(.lostLink(.silent)))
            }
        }
        #endif

        /// A link was given up because it took nothing, and no other comes: the session ends in time all the same.
        @Test func aSessionWhoseFullLinkWasGivenUpEndsInTime() async throws {
            var options = TunnelBed.Options()
            options.client.heartbeatTimeout = .milliseconds(500)
            options.client.resumeWindow = .milliseconds(300)
            options.server.heartbeatTimeout = .milliseconds(500)
            options.server.resumeWindow = .milliseconds(300)
            try await TunnelBed.with(options) { bed in
                bed.service("sink", try Backend(keptBy: bed) { _ = $0.drain() })
                let client = try await bed.client()
                let port = try await client.forward(to: "sink").port
                let sockets = try await onThread { try (0..<200).map { _ in try RawSocket.connect(port: port) } }
                try await eventually("all streams are open") { client.outcomes.count == sockets.count }
                bed.proxy.cutNow(.silence)
                bed.proxy.setDown(true)
                let block = [UInt8](repeating: 7, count: 65_536)
                for socket in sockets { try await onThread { try socket.send(block) } }
                try await eventually("the session ends") { client.events.entries.contains(.ended(.resumeExpired)) }
                #expect(client.events.entries.contains(.lostLink(.silent)))
                #expect(bed.clientBudget.held == 0)
            }
        }

        // MARK: Refusals

        /// A bed with a session that lost its link and does not look for another, and its ticket.
        private func withLostSession(_ body: (TunnelBed, TestClient, ResumeTicket, LinkDialer) async throws -> Void) async throws
        {
            try await TunnelBed.with { bed in
                let dialer = try bed.dialer(party: bed.party())
                let client = try await bed.idleClient(dialer: dialer)
                try await client.loop.run { client.redials = false }
                try await client.start()
                let ticket = try #require(try await client.loop.run { client.ticket })
                bed.proxy.cutNow(.reset)
                try await eventually("both ends lost the link") {
                    let here = try await client.snapshot()?.isAttached
                    let there = try await bed.serverSnapshots().map(\.isAttached)
                    return here == false && there == [false]
                }
                try await body(bed, client, ticket, dialer)
            }
        }

        @Test func aWrongSecretResumesNothing() async throws {
            try await self.withLostSession { bed, _, ticket, dialer in
                var (wrong, rng) = (ticket, SeededGenerator())
                wrong.secret = SessionSecret.generate(using: &rng)
                guard case .failure(let error) = try await bed.dial(dialer, ticket: wrong) else {
                    return #expect(Bool(false), "the server took a wrong secret")
                }
                #expect(error.heard?.code == .unknownSession)
                #expect(bed.observer.kinds == [.resume])
                // The session itself is unharmed.
                #expect(try await bed.serverSnapshots().count == 1)
            }
        }

        @Test func anotherInstanceSaysSoBeforeAnythingIsProved() async throws {
            try await self.withLostSession { bed, _, ticket, dialer in
                var (other, rng) = (ticket, SeededGenerator())
                other.server = WireID.random(using: &rng)
                guard case .failure(let error) = try await bed.dial(dialer, ticket: other) else {
                    return #expect(Bool(false), "another instance took the session")
                }
                #expect(error.heard?.code == .notMe)
                #expect(error.failure == .resume)
                try await eventually("the server noted it") { bed.observer.kinds == [.resume] }
            }
        }

        @Test func anEndedSessionIsUnknown() async throws {
            try await self.withLostSession { bed, client, _, _ in
                for host in bed.hosts { try await host.eventLoop.run { host.value.endAll() } }
                try await client.loop.run { client.dial() }
                try await eventually("the client's session ends") {
                    client.events.entries.contains(
                        .ended(.closedByPeer(Close(.unknownSession, "this server does not know the session"))))
                }
            }
        }

        /// The server claims to have received more than was sent: nothing is attached.
        @Test func anImpossibleCountOfTheServerIsNotTaken() async throws {
            try await self.withLostSession { _, client, ticket, _ in
                let thrown: WireError.Kind? = try await client.loop.flatSubmit { () -> EventLoopFuture<WireError.Kind?> in
                    let promise = client.loop.makePromise(of: WireError.Kind?.self)
                    client.dialOnly(ticket: ticket, received: client.driver?.received ?? 0) { dialed in
                        var welcome = dialed.welcome
                        welcome.received = 1 << 40
                        let lying = DialedLink(
                            link: dialed.link, unread: dialed.unread, received: dialed.received, peer: dialed.peer,
                            welcome: welcome, remoteAddress: dialed.remoteAddress)
                        do throws(WireError) {
                            try client.driver?.attach(lying)
                            promise.succeed(nil)
                        } catch {
                            dialed.discard(Close(.protocolViolation, error.description))
                            promise.succeed(error.kind)
                        }
                    }
                    return promise.futureResult
                }.get()
                #expect(thrown == .impossibleCount)
                #expect(try await client.snapshot()?.isAttached == false)
            }
        }

        /// The client claims to have received more than was sent: authenticated, and refused all the same, once.
        @Test func anImpossibleCountOfTheClientEndsTheSession() async throws {
            try await self.withLostSession { bed, _, ticket, dialer in
                let result = try await bed.dial(dialer, ticket: ticket, received: 1 << 40)
                // WELCOME comes before the count is looked at; the CLOSE behind it is what counts.
                if case .failure(let error) = result { #expect(error.failure == .malformed || error.failure == .disconnected) }
                try await eventually("the server ended the session") { try await bed.serverSnapshots().isEmpty }
                #expect(bed.observer.kinds == [.malformed])
                let ends = bed.serverEvents.entries.compactMap {
                    if case .ended(.violation(let error)) = $0 { error.kind } else { nil }
                }
                #expect(ends == [.impossibleCount])
                try await eventually("the connection is closed") {
                    RawSocket.connections(touching: [bed.serverPort]) == 0
                }
            }
        }

        /// Two links for one session: the older is detached before the counts are exchanged, and only the newer carries it.
        @Test func ofTwoLinksTheNewerCarriesTheSession() async throws {
            try await TunnelBed.with { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let socket = try await onThread { try RawSocket.connect(port: port) }
                for round in 0..<10 {
                    let text = "round \(round) over whichever link"
                    // The link is given up by this end alone: at the server it still stands when the next one comes.
                    try await client.loop.run {
                        client.driver?.detachLink()
                        client.dial()
                    }
                    let answer = try await onThread {
                        try socket.send(text)
                        return try socket.receive(exactly: text.utf8.count)
                    }
                    try #require(String(decoding: answer, as: UTF8.self) == text)
                }
                let resumed = bed.hostEvents.entries.filter { $0 == .resumed(name: "worker-1") }.count
                #expect(resumed == 10)
                try await eventually("one connection is left") {
                    RawSocket.connections(touching: [bed.serverPort]) == 2
                }
            }
        }

        /// What an older dial announced no longer holds when a link stood meanwhile: such a link is not attached.
        @Test func aLinkDialledBeforeMoreArrivedIsNotTaken() async throws {
            try await TunnelBed.with { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let ticket = try #require(try await client.loop.run { client.ticket })
                let port = try await client.forward(to: "echo").port
                _ = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    try socket.send("bytes that count")
                    return try socket.receive(exactly: 16)
                }
                let thrown: WireError.Kind? = try await client.loop.flatSubmit { () -> EventLoopFuture<WireError.Kind?> in
                    let promise = client.loop.makePromise(of: WireError.Kind?.self)
                    client.dialOnly(ticket: ticket, received: 0) { dialed in
                        do throws(WireError) {
                            try client.driver?.attach(dialed)
                            promise.succeed(nil)
                        } catch {
                            dialed.discard(Close(.superseded, "not wanted"))
                            promise.succeed(error.kind)
                        }
                    }
                    return promise.futureResult
                }.get()
                #expect(thrown == .impossibleCount)
            }
        }

        @Test func withoutANewLinkTheSessionEndsInTime() async throws {
            var options = TunnelBed.Options()
            options.client.resumeWindow = .milliseconds(200)
            options.server.resumeWindow = .milliseconds(200)
            try await TunnelBed.with(options) { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let socket = try await onThread { try RawSocket.connect(port: port) }
                _ = try await onThread {
                    try socket.send("x")
                    return try socket.receive(exactly: 1)
                }
                bed.proxy.setDown(true)
                bed.proxy.cutNow(.reset)
                #expect(try await onThread { socket.drain().end } == .reset)
                try await eventually("both sessions end") {
                    client.events.entries.contains(.ended(.resumeExpired))
                        && bed.serverEvents.entries.contains(.ended(.resumeExpired))
                }
                #expect(bed.clientBudget.held == 0 && bed.serverBudget.held == 0)
            }
        }
    }
}
