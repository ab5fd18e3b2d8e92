import Foundation
import Testing

extension Integration.LoadTests {
    /// After very many short connections the daemons hold what they held after the first few hundred.
    @Test("short connections leave nothing behind", .timeLimit(.minutes(15)))
    func shortConnections() async throws {
        let count = isLongRun ? 100_000 : 10_000
        let echo = try PlainSocket.listen()
        let answering = Task { try await EchoThread.run(echo) }
        try await TunnelPair.with(TunnelSetup(services: ["echo": echo.port], exposures: ["back": echo.port])) { pair in
            let ports = [try pair.forward("echo"), try pair.exposure("back")]
            try await self.connect(times: 1_000, ports: ports)
            let before = try await self.settled(pair)
            let start = ContinuousClock.now
            try await self.connect(times: count, ports: ports)
            let duration = ContinuousClock.now - start
            let after = try await self.settled(pair)
            figure(
                "short connections: \(count) in \(duration.seconds) s, \(Int(Double(count) / duration.seconds)) a second; "
                    + "server \(after.server - before.server), client \(after.client - before.client)")
            #expect(after.server.descriptors == before.server.descriptors)
            #expect(after.client.descriptors == before.client.descriptors)
            #expect(after.server.resident <= before.server.resident + Self.residentSlack)
            #expect(after.client.resident <= before.client.resident + Self.residentSlack)
            for admin in [pair.serverAdmin, pair.clientAdmin] {
                #expect(try await admin.json("status")["streams"].int == 0)
                let refused = try await admin.request("/metrics").body.split(separator: "\n").filter {
                    $0.hasPrefix("gotunnel_stream_refusals_total") && !$0.hasSuffix(" 0")
                }
                #expect(refused.isEmpty)
            }
        }
        echo.interrupt()
        _ = try? await answering.value
        echo.close()
    }

    /// What a process may hold more than after a thousand connections: pools and tables that have reached their size, the
    /// allocator's arenas. A leak of a hundred bytes a connection would be 10 MB in the long run.
    private static let residentSlack = 8 << 20

    /// Makes connections, four at a time: a few bytes there, the same bytes back, FIN both ways.
    private func connect(times: Int, ports: [Int]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    try await onThread {
                        for number in 0..<(times / 4) {
                            let socket = try PlainSocket.connect(port: ports[number % ports.count])
                            defer { socket.close() }
                            let text = Array("connection \(worker) \(number)".utf8)
                            try socket.write(text)
                            socket.finishWriting()
                            let answer = try socket.readAll()
                            guard answer.bytes == text, answer.ending == .end else {
                                throw SocketFailure("connection \(number): \(answer.bytes.count) bytes, \(answer.ending)", 0)
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private struct Holding: CustomStringConvertible {
        var descriptors: Int
        var resident: Int

        static func - (after: Holding, before: Holding) -> String {
            "fds \(before.descriptors) → \(after.descriptors), RSS \(before.resident >> 10) → \(after.resident >> 10) KiB"
        }
        var description: String { "\(self.descriptors) fds, \(self.resident) B" }
    }

    /// What both hold once no stream is left.
    private func settled(_ pair: TunnelPair) async throws -> (server: Holding, client: Holding) {
        for admin in [pair.serverAdmin, pair.clientAdmin] {
            try await eventually("no streams", within: .seconds(20)) { try await admin.status()["streams"].int == 0 ? true : nil }
        }
        try await Task.sleep(for: .milliseconds(300))
        let (server, client) = (try pair.server, try pair.client)
        return (
            Holding(descriptors: server.openDescriptors, resident: server.residentBytes),
            Holding(descriptors: client.openDescriptors, resident: client.residentBytes)
        )
    }
}
