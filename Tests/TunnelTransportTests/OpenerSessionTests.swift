import Foundation
import NIOCore
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// What happens to sessions while streams are being opened by them.
    @Suite struct OpenerSessionTests {
        // MARK: Links and sessions that end

        @Test(arguments: [BreakableProxy.Cut.reset, .finish])
        func aLinkThatBreaksBeforeItsAnswerMovesTheOpening(cut: BreakableProxy.Cut) async throws {
            try await OpenerBed.with { site in
                let backends = try site.backends()
                // Not asked because of the delay, only because of the break.
                try await site.paths[1].offer(OpenerBed.service, isHealthy: false)
                try await site.beds[0].stopped {
                    let program = try await site.connect()
                    try await eventually("the first is asked") { try await site.paths[0].streamCount == 1 }
                    try await site.bytesHaveArrived()
                    #expect(try await site.paths[1].streamCount == 0)
                    site.beds[0].proxy.cutNow(cut)
                    #expect(try await onThread { try program.ask("hello") } == "hello")
                }
                #expect(site.paths[0].losses.count == 1)
                try await site.paths[0].start()
                try await site.settled()
                #expect(site.paths[0].ends.count == 0)
                #expect(backends.flatMap(\.texts.entries) == ["hello"])
                #expect(site.refusals.count == 0)
                try await backends[0].isLeftAlone()
            }
        }

        @Test func aSessionThatEndsMovesItsOpenings() async throws {
            try await OpenerBed.with { site in
                let backends = try site.backends()
                try await site.paths[1].offer(OpenerBed.service, isHealthy: false)
                let programs = try await site.connectAll(3)
                try await site.beds[0].stopped {
                    try await site.openAll()
                    try await eventually("the first is asked") { try await site.paths[0].streamCount == 3 }
                    try await site.paths[0].run { driver, _ in driver.end(.closedHere(.shutdown, "enough")) }
                    for program in programs { #expect(try await onThread { try program.ask("hello") } == "hello") }
                }
                try await site.settled()
                #expect(backends[1].texts.entries == ["hello", "hello", "hello"])
                #expect(site.beds[1].asked == 3)
                #expect(site.refusals.count == 0)
                try await backends[0].isLeftAlone()
            }
        }

        @Test func whatTheLastSessionLeavesWaitsForAnotherThatIsExpected() async throws {
            try await OpenerBed.with(servers: 1) { site in
                let backends = try site.backends()
                let program = try await site.beds[0].stopped {
                    let program = try await site.connect()
                    try await site.eachHas(1)
                    try await site.run { $0.expectSession(for: .seconds(5)) }
                    try await site.paths[0].run { driver, _ in driver.end(.peerGone) }
                    #expect(try await site.run { $0.heldCount } == 1)
                    return program
                }
                try await site.paths[0].start()
                #expect(try await onThread { try program.ask("hello") } == "hello")
                try await site.settled()
                #expect(backends[0].texts.entries == ["hello"])
                #expect(site.refusals.count == 0)
            }
        }

        // MARK: Suspicion

        @Test func aServerThatAnswersAgainIsSuspectNoLonger() async throws {
            try await OpenerBed.with { site in
                let backends = try site.backends()
                let programs = try await site.connectAll(3)
                try await site.beds[0].stopped {
                    try await site.openAll()
                    for program in programs { #expect(try await onThread { try program.ask("hello") } == "hello") }
                    #expect(try await site.paths[0].isSuspect(in: site))
                }
                // Its heartbeats are a minute apart: only the probe can tell.
                try await eventually("the probe is answered") { try await !site.paths[0].isSuspect(in: site) }
                try await site.settled()
                #expect(site.beds.map(\.asked) == [0, 3])
                #expect(backends[1].texts.count == 3)
            }
        }

        @Test func aProbeIsAnsweredAtOnce() async throws {
            try await OpenerBed.with(servers: 1) { site in
                let path = site.paths[0]
                let before = try #require(path.heartbeats.entries.last?.answeredPing)
                try await path.run { driver, _ in driver.probe() }
                try await eventually("a later PING is answered") {
                    path.heartbeats.entries.last?.answeredPing.map { $0 > before } ?? false
                }
            }
        }

        // MARK: Requests without an opener

        @Test func anOpenThatIsWithdrawnInTheSameBatchIsNotAsked() async throws {
            try await OpenerBed.with(servers: 1) { site in
                let backends = try site.backends()
                let (path, progress) = (site.paths[0], Log<OpenProgress>())
                let before = try await path.run { driver, _ in driver.snapshot().bytesSent }
                try await site.beds[0].stopped {
                    let id = try await path.request(OpenerBed.service, progress)
                    try await site.bytesHaveArrived()
                    let opened = try await path.run { driver, _ in driver.snapshot().bytesSent }
                    #expect(opened > before)
                    try await path.run { driver, _ in driver.cancel(id) }
                    try await site.bytesHaveArrived()
                    #expect(try await path.run { driver, _ in driver.snapshot().bytesSent } > opened)
                }
                try await site.settled()
                #expect(site.beds[0].asked == 0)
                #expect(progress.count == 0)
                try await backends[0].isLeftAlone()
            }
        }

        @Test func anOpenThatIsWithdrawnAtOnceIsNotSent() async throws {
            try await OpenerBed.with(servers: 1) { site in
                let (path, progress) = (site.paths[0], Log<OpenProgress>())
                let before = try await path.run { driver, _ in
                    let before = driver.snapshot().bytesSent
                    let open = Open(destination: .service(OpenerBed.service), source: "test")
                    driver.cancel(try driver.request(open) { progress.add($0) })
                    return before
                }
                try await site.settled()
                #expect(try await path.run { driver, _ in driver.snapshot().bytesSent } == before)
                #expect(site.beds[0].asked == 0)
                #expect(progress.count == 0)
            }
        }

        @Test func aStreamThatNobodyAdoptsIsWithdrawn() async throws {
            try await OpenerBed.with(servers: 1) { site in
                let ends = Log<RawSocket.End>()
                let backend = try Backend(keptBy: site.beds[0]) { ends.add($0.drain().end) }
                site.beds[0].service(OpenerBed.service, backend)
                let progress = Log<OpenProgress>()
                let id = try await site.paths[0].request(OpenerBed.service, progress)
                try await eventually("the backend is left alone") { ends.count == 1 }
                #expect(progress.entries == [.accepted, .ended(.opened)])
                #expect(ends.entries == [.reset])

                // Too late: the program of a stream that is gone is reset.
                let program = try await site.connectAll(1)[0]
                try await site.adoptFirst(id, site.paths[0])
                #expect(try await onThread { program.drain() } == (0, .reset))
                try await site.settled()
            }
        }

        // MARK: Resume windows

        @Test func theServerFollowsTheResumeWindow() async throws {
            try await OpenerBed.with(servers: 1) { site in
                for seconds in [7, 3, 11] {
                    try await site.paths[0].run { driver, _ in driver.setResumeWindow(.seconds(seconds)) }
                    try await site.beds[0].waitsForResume(.seconds(seconds))
                }
            }
        }

        /// The client learns of its other links while this one is away.
        @Test func aResumeWindowSetWithoutALinkIsToldOnTheNext() async throws {
            try await OpenerBed.with(servers: 1) { site in
                let path = site.paths[0]
                try await path.run { driver, _ in driver.setResumeWindow(.seconds(20)) }
                try await site.beds[0].waitsForResume(.seconds(20))
                site.beds[0].proxy.cutNow(.reset)
                try await eventually("the link is lost") { path.losses.count == 1 }
                try await path.run { driver, _ in driver.setResumeWindow(.seconds(7)) }
                #expect(try await path.run { driver, _ in driver.resumeWindow } == .seconds(7))
                try await path.start()
                try await site.beds[0].waitsForResume(.seconds(7))
            }
        }

        /// As a client does that has another link already when a session begins.
        @Test func aResumeWindowSetBeforeTheFirstLinkIsTold() async throws {
            try await OpenerBed.with(servers: 1, starts: false) { site in
                site.paths[0].firstWindow = .seconds(7)
                try await site.paths[0].start()
                try await site.beds[0].waitsForResume(.seconds(7))
            }
        }
    }
}

extension OpenerPath {
    fileprivate func isSuspect(in site: OpenerBed) async throws -> Bool {
        let opener = UncheckedBox(site.opener)
        return try await self.run { _, path in opener.value.isSuspect(path) }
    }
}

extension TunnelBed {
    /// Waits until the server would wait so long for the client's next link.
    fileprivate func waitsForResume(_ window: Duration) async throws {
        try await eventually("the server waits \(window) for a resume", within: .seconds(10)) {
            let host = self.hosts[0]
            return try await host.eventLoop.run { host.value.sessions.values.map(\.driver.resumeWindow) } == [window]
        }
    }
}
