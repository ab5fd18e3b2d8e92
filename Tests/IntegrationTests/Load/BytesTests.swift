import Foundation
import Synchronization
import Testing

/// Whether the long forms of the load tests are wanted: `GOTUNNEL_LONG=1`.
let isLongRun = ProcessInfo.processInfo.environment["GOTUNNEL_LONG"] == "1"

/// Everything that is measured and not asserted goes out as such a line.
func figure(_ text: String) { print("figure: \(text)") }

extension Integration.LoadTests {
    /// Both directions of a forward and of an exposure at once, while the link breaks again and again.
    @Test("every byte arrives although the link breaks again and again", .timeLimit(.minutes(10)))
    func bytesSurviveCuts() async throws {
        let (each, count) = isLongRun ? (512 << 20, 200) : (64 << 20, 100)
        let (front, back) = (try PlainSocket.listen(), try PlainSocket.listen())
        defer { for socket in [front, back] { socket.close() } }
        let keeper = try await TestServer.echo()
        var setup = TunnelSetup(
            services: ["front": front.port, "keeper": keeper.port], exposures: ["back": back.port], hasProxy: true)
        setup.client = "heartbeat_timeout: 500ms"
        try await TunnelPair.with(setup) { pair in
            let kept = try await KeptStreams.open(20, port: pair.forward("keeper"))
            let forward = try await PlainSocket.pair(port: pair.forward("front"), listener: front)
            let exposure = try await PlainSocket.pair(port: pair.exposure("back"), listener: back)
            defer { for socket in [forward.near, forward.far, exposure.near, exposure.far] { socket.close() } }

            let start = ContinuousClock.now
            guard let proxy = pair.proxy else { throw Unmet("expected a proxy") }
            let cutter = LinkCutter(proxy: proxy, cuts: count, volume: 2 * each, seed: 7)
            let watch = MemoryWatch(pair: pair)
            async let peaks = watch.run()
            async let cut = cutter.run()
            async let first = Bulk.exchange(forward.near, forward.far, count: each, seed: 11)
            async let second = Bulk.exchange(exposure.near, exposure.far, count: each, seed: 13)
            let results = [try await first, try await second]
            let duration = ContinuousClock.now - start
            cutter.stop()
            let cuts = try await cut
            watch.stop()
            let peak = try await peaks
            for result in results {
                #expect(result.far.received == result.near.sent)
                #expect(result.near.received == result.far.sent)
                #expect(result.near.sent.bytes == each)
            }
            try await kept.check()
            await kept.close()

            let status = try await pair.serverAdmin.status()
            let resumes = status["sessions"]["resumes"].int ?? 0
            let resumed = try await pair.clientAdmin.metric("gotunnel_resumed_bytes_total") ?? 0
            let resumedByServer = try await pair.serverAdmin.metric("gotunnel_resumed_bytes_total") ?? 0
            figure(
                "bytes: \(4 * each >> 20) MiB in all in \(duration.seconds) s, \(cuts.all) cuts (\(cuts.byKind)), of them "
                    + "\(cuts.ofLinks) of a link with a session, \(resumes) resumes, again \(Int(resumed)) B by the client, "
                    + "\(Int(resumedByServer)) B by the server, \(peak)")
            #expect(cuts.all == count, "the transfer was over before all cuts were made")
            #expect(resumes >= cuts.ofLinks)
            #expect(try await pair.serverAdmin.json("clients")[0]["streams"].int == 0)
            peak.expectWithinBudget()
        }
    }
}

extension Integration {
    /// What is counted under load: bytes, streams, memory, descriptors. Never speeds.
    @Suite("Load", .serialized) struct LoadTests {}
}

/// Streams that only have to survive.
struct KeptStreams: Sendable {
    private let connections: [TestConnection]

    static func open(_ count: Int, port: Int) async throws -> KeptStreams {
        var connections: [TestConnection] = []
        for _ in 0..<count { connections.append(try await TestConnection.connect(port: port)) }
        let kept = KeptStreams(connections: connections)
        try await kept.check()
        return kept
    }

    /// Each still answers.
    func check() async throws {
        for (number, connection) in self.connections.enumerated() {
            let text = "stream \(number)\n"
            try await connection.write(text)
            #expect(try await connection.readText(text.utf8.count, within: .seconds(30)) == text)
        }
    }

    /// Ends each in an orderly way.
    func close() async {
        for connection in self.connections {
            try? await connection.finish()
            _ = try? await connection.readToEnd()
            try? await connection.close()
        }
    }
}

extension PlainSocket {
    /// A stream: the connection to `port`, and the one that arrives at `listener` because of it. Health checks connect to the
    /// listener too, so that a marker has to find the right one.
    ///
    /// - Parameters:
    ///   - nearBuffer: what the kernel may hold of what is sent here, in bytes.
    ///   - farBuffer: what it may hold of what arrives there.
    static func pair(
        port: Int, listener: PlainSocket, nearBuffer: Int? = nil, farBuffer: Int? = nil
    ) async throws -> (near: PlainSocket, far: PlainSocket) {
        try await onThread {
            let near = try PlainSocket.connect(port: port, sendBuffer: nearBuffer)
            try near.write([0x42])
            while true {
                let far = try listener.accept(receiveBuffer: farBuffer)
                if try far.read(exactly: 1) == [0x42] { return (near, far) }
                far.close()
            }
        }
    }
}
