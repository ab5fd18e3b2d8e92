import Foundation
import Testing

extension Integration.LoadTests {
    /// FIN one way leaves the other way open, and the other way round; both through a forward and an exposure.
    @Test("half-close both ways", .timeLimit(.minutes(2)))
    func halfClose() async throws {
        try await self.eachDirection { near, far in
            let request = TestBytes.sample(300_000, seed: 5)
            let answer = TestBytes.sample(400_000, seed: 6)
            // Near ends first; far answers only after it has seen the end.
            async let got = onThread {
                let got = try far.readAll()
                try far.write(answer)
                far.finishWriting()
                return got.bytes
            }
            let back = try await onThread {
                try near.write(request)
                near.finishWriting()
                return try near.readAll()
            }
            #expect(try await got == request)
            #expect(back.bytes == answer)
            #expect(back.ending == .end)
        }
        try await self.eachDirection { near, far in
            // Far ends first, without having read anything.
            far.finishWriting()
            let ending = try await onThread { try near.readAll() }
            #expect(ending.bytes.isEmpty && ending.ending == .end)
            let request = TestBytes.sample(300_000, seed: 7)
            async let got = onThread { try far.readAll() }
            try await onThread {
                try near.write(request)
                near.finishWriting()
            }
            #expect(try await got.bytes == request)
            #expect(try await got.ending == .end)
        }
    }

    /// A connection that is reset is reset at the other end too, never ended in an orderly way.
    @Test("a reset arrives as a reset", .timeLimit(.minutes(2)))
    func resets() async throws {
        try await self.eachDirection { near, far in
            try await onThread { try near.write([1]) }
            _ = try await onThread { try far.read(exactly: 1) }
            near.reset()
            #expect(try await self.ending(of: far) == .reset)
        }
        try await self.eachDirection { near, far in
            try await onThread { try near.write([1]) }
            _ = try await onThread { try far.read(exactly: 1) }
            far.reset()
            #expect(try await self.ending(of: near) == .reset)
        }
        try await self.eachDirection { near, far in
            // Closed with unread data in its buffer: the kernel answers with RST.
            try await onThread { try far.write(TestBytes.sample(1_000, seed: 8)) }
            _ = try await onThread { try near.read(exactly: 1) }
            try await Task.sleep(for: .milliseconds(50))
            near.close()
            #expect(try await self.ending(of: far) == .reset)
        }
        try await self.eachDirection { near, far in
            // After a FIN of its own, a reset still arrives as one.
            near.finishWriting()
            let first = try await self.ending(of: far)
            far.reset()
            let second = try await self.ending(of: near)
            #expect(first == .end && second == .reset)
        }
    }

    /// Sources whose readers do not read are closed all at once: what they had written is read by then or still comes, in bounded
    /// memory.
    @Test("1 000 stalled sources close at once", .timeLimit(.minutes(5)))
    func stalledSources() async throws {
        let listener = try PlainSocket.listen()
        defer { listener.close() }
        let echo = try await TestServer.echo()
        try await TunnelPair.with(TunnelSetup(services: ["stalled": listener.port, "echo": echo.port])) { pair in
            let kept = try await KeptStreams.open(5, port: pair.forward("echo"))
            let port = try pair.forward("stalled")
            var streams: [(near: PlainSocket, far: PlainSocket)] = []
            for _ in 0..<1_000 {
                streams.append(try await PlainSocket.pair(port: port, listener: listener, nearBuffer: 32_768, farBuffer: 65_536))
            }
            let nears = streams.map(\.near)
            let pushed = try await onThread { try PlainSocket.writeAllUntilFull(nears) }
            var peak = MemoryWatch.Peak()
            let watch = MemoryWatch(pair: pair)
            try await watch.sample(&peak)
            let charged = peak.charged
            for near in nears { near.finishWriting() }
            for _ in 0..<20 {
                try await watch.sample(&peak)
                try await Task.sleep(for: .milliseconds(50))
            }
            try await kept.check()
            // Every other reader reads in the end, the rest give up.
            var arrived: [Int] = []
            for (number, stream) in streams.enumerated() {
                if number % 2 == 0 { arrived.append(try await onThread { try Bulk.receive(stream.far).bytes }) }
                stream.far.close()
                stream.near.close()
                if number % 50 == 0 { try await watch.sample(&peak) }
            }
            #expect(arrived == stride(from: 0, to: 1_000, by: 2).map { pushed[$0] })
            try await eventually("only the kept streams are left", within: .seconds(20)) {
                try await pair.serverAdmin.status()["streams"].int == 5 ? true : nil
            }
            try await kept.check()
            await kept.close()
            figure(
                "stalled sources: \(pushed.reduce(0, +) >> 20) MiB written by 1 000 sources, "
                    + "\(charged >> 20) MiB charged before they closed; \(peak)"
            )
            peak.expectBounded(surplus: 1_000 * 262_144)
        }
        await echo.stop()
    }

    /// Reads to the end and says how it came.
    private func ending(of socket: PlainSocket) async throws -> PlainSocket.Arrival {
        try await onThread { try socket.readAll() }.ending
    }

    /// Runs `body` on a fresh stream of a forward, then of an exposure.
    private func eachDirection(_ body: (_ near: PlainSocket, _ far: PlainSocket) async throws -> Void) async throws {
        let listener = try PlainSocket.listen()
        defer { listener.close() }
        try await TunnelPair.with(TunnelSetup(services: ["f": listener.port], exposures: ["e": listener.port])) { pair in
            for port in [try pair.forward("f"), try pair.exposure("e")] {
                let (near, far) = try await PlainSocket.pair(port: port, listener: listener)
                try await body(near, far)
                try await eventually("the stream to be gone") {
                    try await pair.serverAdmin.status()["streams"].int == 0 ? true : nil
                }
                try await eventually("the stream to be gone") {
                    try await pair.clientAdmin.status()["streams"].int == 0 ? true : nil
                }
            }
        }
    }
}

extension TestBytes {
    static func sample(_ count: Int, seed: UInt64) -> [UInt8] {
        var bytes = TestBytes(seed: seed)
        return bytes.next(count)
    }
}

extension PlainSocket {
    /// Fills each of the sockets until none has taken anything for half a second; returns how many bytes each took.
    static func writeAllUntilFull(_ sockets: [PlainSocket]) throws -> [Int] {
        var taken = [Int](repeating: 0, count: sockets.count)
        var idle = 0
        while idle < 5 {
            var progress = 0
            for (index, socket) in sockets.enumerated() {
                let more = try socket.writeWithoutWaiting(limit: 8 << 20)
                taken[index] += more
                progress += more
            }
            idle = progress == 0 ? idle + 1 : 0
            Thread.sleep(forTimeInterval: 0.1)
        }
        return taken
    }
}

extension MemoryWatch.Peak {
    /// The bound for sockets that are read to their end whatever the budget says: `surplus` bytes beyond the budget.
    func expectBounded(surplus: Int) {
        #expect(self.charged <= self.budget + surplus, "\(self)")
        #expect(self.serverResident <= 2 * (self.budget + surplus), "\(self)")
        #expect(self.clientResident <= 2 * (self.budget + surplus), "\(self)")
    }
}
