import Foundation
import NIOCore
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Local connections that become streams of the best of several sessions.
    @Suite struct StreamOpenerTests {
        @Test func aConnectionBecomesAStreamOfTheBetterSession() async throws {
            try await OpenerBed.with { site in
                let (up, down, count) = (Pattern(seed: 1), Pattern(seed: 2), 2 << 20)
                let (atBackend, atProgram) = (Log<Received>(), Log<Received>())
                let backend = try Backend(keptBy: site.beds[1]) { socket in
                    try socket.exchange(sending: down, count: count, receiving: up, atBackend)
                }
                site.beds[1].service(OpenerBed.service, backend)
                try await site.paths[0].offer(OpenerBed.service, isHealthy: false)
                try await site.paths[1].offer(OpenerBed.service, isHealthy: true)

                let program = try await site.connect()
                try await onThread { try program.exchange(sending: up, count: count, receiving: down, atProgram) }

                try await site.settled()
                for (received, sent) in [(atBackend, up), (atProgram, down)] {
                    let received = try #require(received.entries.first)
                    #expect(received.count == count && received.end == .finished)
                    #expect(received.digest == sent.digest(count))
                }
                #expect(site.beds.map(\.asked) == [0, 1])
                #expect(site.refusals.count == 0)
            }
        }

        /// The program has said all it has to say before the server is even asked.
        @Test func whatWasSaidBeforeTheStreamIsOpenArrivesOnce() async throws {
            try await OpenerBed.with { site in
                let backends = try site.backends()
                try await site.paths[0].offer(OpenerBed.service, isHealthy: false)
                try await site.paths[1].offer(OpenerBed.service, isHealthy: true)
                let program = try await site.beds[1].stopped {
                    let program = try await site.connect()
                    try await eventually("the second is asked") { try await site.paths[1].streamCount == 1 }
                    try program.send("said early")
                    program.finish()
                    try await site.bytesHaveArrived()
                    #expect(try await site.run { $0.pendingCount } == 1)
                    return program
                }
                #expect(try await onThread { try program.answer() } == "said early")
                try await site.settled()
                #expect(backends[1].texts.entries == ["said early"])
                #expect(site.beds.map(\.asked) == [0, 1])
            }
        }

        @Test func whatTheFirstDoesNotAnswerIsAskedOfTheSecond() async throws {
            try await OpenerBed.with { site in
                let backends = try site.backends()
                try await site.beds[0].stopped {
                    let program = try await site.connect()
                    #expect(try await onThread { try program.ask("hello") } == "hello")
                    #expect(try await site.paths[0].streamCount == 0)
                    try await site.bytesHaveArrived()
                }
                try await site.settled()
                // OPEN and RESET(cancelled) come in one batch there.
                #expect(site.beds.map(\.asked) == [0, 1])
                #expect(backends[1].texts.entries == ["hello"])
                #expect(site.refusals.count == 0)
                try await backends[0].isLeftAlone()
            }
        }

        /// Both have been asked, and both open the stream: one of them in vain.
        @Test func ofTwoThatOpenTheStreamOneIsTold() async throws {
            try await OpenerBed.with { site in
                let backends = try site.backends()
                let program = try await site.allStopped {
                    let program = try await site.connect()
                    try await site.eachHas(1)
                    try await site.bytesHaveArrived()
                    return program
                }
                #expect(try await onThread { try program.ask("hello") } == "hello")
                try await site.settled()
                #expect(backends.flatMap(\.texts.entries) == ["hello"])
                #expect(site.refusals.count == 0)
                for backend in backends { try await backend.isLeftAlone() }
            }
        }

        @Test func whatTheFirstRefusesIsAskedOfTheSecond() async throws {
            try await OpenerBed.with { site in
                let backend = try OpenerBackend(at: site.beds[1])
                let program = try await site.connect()
                #expect(try await onThread { try program.ask("hello") } == "hello")
                try await site.settled()
                #expect(site.beds.map(\.asked) == [1, 1])
                #expect(backend.texts.entries == ["hello"])
                #expect(site.refusals.count == 0)
            }
        }

        @Test func whatAllRefuseIsResetAndReportedOnce() async throws {
            try await OpenerBed.with { site in
                let program = try await site.connect()
                #expect(try await onThread { program.drain() } == (0, .reset))
                try await site.settled()
                #expect(site.beds.map(\.asked) == [1, 1])
                #expect(site.refusals.entries == [Refusal(.unknownDestination, "no target \(OpenerBed.service)")])
            }
        }

        // MARK: Programs that end

        @Test(arguments: [1, 2]) func aProgramThatResetsWithdrawsItsOpening(servers: Int) async throws {
            try await OpenerBed.with(servers: servers) { site in
                let backends = try site.backends()
                try await site.allStopped {
                    let program = try await site.connect()
                    try await site.eachHas(1)
                    try await site.bytesHaveArrived()
                    program.reset()
                    try await site.eachHas(0)
                    #expect(try await site.run { $0.pendingCount + $0.opener.pending } == 0)
                    try await site.bytesHaveArrived()
                }
                try await site.settled()
                #expect(site.beds.allSatisfy { $0.asked == 0 })
                #expect(site.refusals.count == 0)
                for backend in backends { try await backend.isLeftAlone() }
            }
        }

        /// For the kernel, a program that closes without having anything unread has sent FIN, and may still be there.
        @Test(arguments: [1, 2]) func aProgramThatGoesAwayIsServedInVain(servers: Int) async throws {
            try await OpenerBed.with(servers: servers) { site in
                let backends = try site.backends()
                try await site.allStopped {
                    let program = try await site.connect()
                    try await site.eachHas(1)
                    try program.send("farewell")
                    program.close()
                    try await site.bytesHaveArrived()
                    #expect(try await site.run { $0.pendingCount } == 1)
                }
                try await eventually("the farewell was heard") { backends.contains { $0.texts.count > 0 } }
                try await site.settled()
                #expect(backends.flatMap(\.texts.entries) == ["farewell"])
                #expect(site.refusals.count == 0)
                for backend in backends { try await backend.isLeftAlone() }
            }
        }

        @Test func aProgramThatFinishesEarlyGetsItsAnswerFromEitherServer() async throws {
            try await OpenerBed.with { site in
                let backends = try site.backends()
                let program = try await site.allStopped {
                    let program = try await site.connect()
                    try program.send("question")
                    program.finish()
                    try await site.eachHas(1)
                    try await site.bytesHaveArrived()
                    return program
                }
                #expect(try await onThread { try program.answer() } == "question")
                try await site.settled()
                #expect(backends.flatMap(\.texts.entries) == ["question"])
            }
        }

        // MARK: Without a session

        @Test func connectionsAreHeldUntilASessionBegins() async throws {
            try await OpenerBed.with(servers: 1, starts: false) { site in
                let backends = try site.backends()
                let programs = [try await site.connect(), try await site.connect()]
                try await eventually("both wait") { try await site.run { $0.heldCount } == 2 }
                #expect(site.holds.count == 2)
                try await site.paths[0].start()
                for program in programs { #expect(try await onThread { try program.ask("hello") } == "hello") }
                try await site.settled()
                #expect(backends[0].texts.entries == ["hello", "hello"])
                #expect(site.refusals.count == 0)
            }
        }

        /// A program that sends and finishes is read to its end although nobody takes its bytes yet: they count.
        @Test func bytesOfAHeldConnectionAreCharged() async throws {
            try await OpenerBed.with(servers: 1, starts: false) { site in
                let program = try await site.connect()
                try await eventually("it waits") { try await site.run { $0.heldCount } == 1 }
                try await onThread {
                    try program.send("a question")
                    program.finish()
                }
                try await eventually("its bytes are charged") { site.budget.held == 10 }
                try await site.run { $0.close() }
                #expect(site.budget.held == 0)
                #expect(try await site.run { $0.heldCount + $0.pendingCount } == 0)
            }
        }

        @Test func aProgramThatResetsIsHeldNoLonger() async throws {
            try await OpenerBed.with(servers: 1, starts: false) { site in
                let program = try await site.connect()
                try await eventually("it waits") { try await site.run { $0.heldCount } == 1 }
                program.reset()
                try await eventually("nobody waits") { try await site.run { $0.heldCount + $0.pendingCount } == 0 }
                try await site.paths[0].start()
                try await site.settled()
                #expect(site.beds[0].asked == 0)
            }
        }

        @Test func closingResetsWhatIsHeld() async throws {
            try await OpenerBed.with(servers: 1, starts: false) { site in
                let programs = [try await site.connect(), try await site.connect()]
                try await eventually("both wait") { try await site.run { $0.heldCount } == 2 }
                try await site.run { $0.close() }
                for program in programs { #expect(try await onThread { program.drain() } == (0, .reset)) }
                #expect(try await site.run { $0.pendingCount + $0.heldCount + $0.opener.pending } == 0)
                #expect(site.refusals.count == 0)
            }
        }

        @Test func closingWithdrawsWhatIsBeingOpened() async throws {
            try await OpenerBed.with { site in
                try await site.allStopped {
                    let programs = try await site.connectAll(3)
                    try await site.openAll()
                    try await site.eachHas(3)
                    try await site.bytesHaveArrived()
                    try await site.run { $0.close() }
                    for program in programs { #expect(try await onThread { program.drain() } == (0, .reset)) }
                    try await site.eachHas(0)
                    try await site.bytesHaveArrived()
                }
                try await site.settled()
                #expect(site.beds.map(\.asked) == [0, 0])
            }
        }
    }
}
