import Foundation
import Testing
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Streams whose target cannot be had: the opener's connection is reset and both ends know why.
    @Suite struct RefusalTests {
        /// Opens a stream to `service` and returns how the local connection ended, and what both ends noted.
        private func attempt(
            _ bed: TunnelBed, _ service: String
        ) async throws -> (end: RawSocket.End, outcome: [OpenOutcome], server: [Refusal]) {
            let client = try await bed.client()
            let port = try await client.forward(to: service).port
            let end = try await onThread { try RawSocket.connect(port: port).drain().end }
            try await eventually("the outcome is reported") { client.outcomes.count == 1 }
            let refusals = bed.serverEvents.entries.compactMap { if case .refused(let refusal) = $0 { refusal } else { nil } }
            return (end, client.outcomes.entries, refusals)
        }

        private func refusal(_ outcomes: [OpenOutcome]) -> Refusal? {
            guard outcomes.count == 1, case .refused(let refusal) = outcomes[0] else { return nil }
            return refusal
        }

        @Test func aTargetThatRefuses() async throws {
            try await TunnelBed.with { bed in
                let listener = try RawSocket.listen()
                let port = listener.port
                listener.close()
                bed.targets.add("gone", Targets.Target(port: port))
                let (end, outcome, server) = try await self.attempt(bed, "gone")
                #expect(end == .reset)
                #expect(self.refusal(outcome) == Refusal(.connectionRefused, "127.0.0.1:\(port): connection refused"))
                #expect(server == [Refusal(.connectionRefused, "127.0.0.1:\(port): connection refused")])
            }
        }

        @Test func aTargetThatCannotBeRouted() async throws {
            try await TunnelBed.with { bed in
                // TCP to the broadcast address: the kernel says ENETUNREACH and sends nothing.
                bed.targets.add("nowhere", Targets.Target(host: "255.255.255.255", port: 9))
                let (end, outcome, _) = try await self.attempt(bed, "nowhere")
                #expect(end == .reset)
                #expect(self.refusal(outcome) == Refusal(.unreachable, "255.255.255.255:9: no route to the host"))
            }
        }

        @Test func aServiceThatNobodyKnows() async throws {
            try await TunnelBed.with { bed in
                let (end, outcome, _) = try await self.attempt(bed, "unheard-of")
                #expect(end == .reset)
                #expect(self.refusal(outcome) == Refusal(.unknownDestination, "no target unheard-of"))
            }
        }

        @Test func aTargetThatDoesNotAnswer() async throws {
            try await TunnelBed.with { bed in
                let target = try UnansweringTarget()
                bed.targets.add("slow", Targets.Target(port: target.port, timeout: .milliseconds(300)))
                let (end, outcome, _) = try await self.attempt(bed, "slow")
                #expect(end == .reset)
                #expect(self.refusal(outcome)?.code == .timedOut)
                #expect(self.refusal(outcome)?.reason == "127.0.0.1:\(target.port): no answer to the connection attempt")
            }
        }

        /// The kernel repeats the attempt after a second and meets nobody.
        @Test func aTargetThatVanishesWhileItIsDialled() async throws {
            try await TunnelBed.with { bed in
                let target = try UnansweringTarget()
                bed.targets.add("vanishing", Targets.Target(port: target.port, timeout: .seconds(20)))
                let client = try await bed.client()
                let port = try await client.forward(to: "vanishing").port
                let socket = try await onThread { try RawSocket.connect(port: port) }
                try await eventually("the server dials") {
                    bed.serverEvents.entries.contains { if case .asked = $0 { true } else { false } }
                }
                target.vanish()
                #expect(try await onThread { socket.drain().end } == .reset)
                try await eventually("the outcome is reported") { client.outcomes.count == 1 }
                #expect(self.refusal(client.outcomes.entries)?.code == .connectionRefused)
            }
        }

        @Test func aStreamThatIsResetWhileItsTargetIsDialled() async throws {
            try await TunnelBed.with { bed in
                let target = try UnansweringTarget()
                bed.targets.add("late", Targets.Target(port: target.port, timeout: .seconds(20)))
                let client = try await bed.client()
                let port = try await client.forward(to: "late").port
                let socket = try await onThread { try RawSocket.connect(port: port) }
                try await eventually("the server dials") {
                    bed.serverEvents.entries.contains { if case .asked = $0 { true } else { false } }
                }
                socket.reset()
                try await bed.streamsAreForgotten(by: client)
                #expect(client.outcomes.entries == [.reset(.connectionReset)])
                // The dial succeeds all the same, and what it made is thrown away.
                let end = try await onThread { try target.answer().drain().end }
                #expect(end == .reset)
                #expect(try await bed.serverSnapshots().allSatisfy { $0.streams == 0 })
            }
        }

        /// On many machines `localhost` leads to ::1 and 127.0.0.1, of which only the second has a listener.
        @Test func aTargetGivenByName() async throws {
            try await TunnelBed.with { bed in
                let backend = try Backend.echo(keptBy: bed)
                bed.targets.add("named", Targets.Target(host: "localhost", port: backend.port))
                let port = try await bed.client().forward(to: "named").port
                let answer = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    try socket.send("which one?")
                    return try socket.receive(exactly: 10)
                }
                #expect(String(decoding: answer, as: UTF8.self) == "which one?")
            }
        }

        /// A stream that the session refuses by itself leaves no connection behind.
        @Test func aSessionWithoutRoomResetsTheConnection() async throws {
            var options = TunnelBed.Options()
            options.client.streams = 2
            try await TunnelBed.with(options) { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let kept = try await onThread { try (0..<2).map { _ in try RawSocket.connect(port: port) } }
                try await eventually("two streams are open") { client.outcomes.count == 2 }
                #expect(try await onThread { try RawSocket.connect(port: port).drain().end } == .reset)
                try await eventually("the refusal is reported") {
                    client.outcomes.entries.last == .refused(Refusal(.busy, "the session has its 2 streams already"))
                }
                for socket in kept { socket.close() }
            }
        }
    }
}
