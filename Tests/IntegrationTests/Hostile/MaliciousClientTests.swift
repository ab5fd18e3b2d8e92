import NIOCore
import Testing
import TunnelTransport
import TunnelWire

extension Integration.HostileTests {
    /// A way for an authenticated client to break the protocol with a few frames.
    struct Violation: Sendable, CustomStringConvertible {
        let name: String
        /// The kind that the server names and counts.
        let kind: String
        let frames: @Sendable () -> [ByteBuffer]
        var description: String { self.name }

        init(_ name: String, _ kind: WireError.Kind, _ frames: @escaping @Sendable () -> [ByteBuffer]) {
            self.name = name
            self.kind = kind.rawValue
            self.frames = frames
        }
    }

    private static let open = Open(destination: .service(HostileSite.service), source: "test").frame(stream: 1)
    private static func raw(_ type: FrameType, _ stream: StreamID = 0, length: Int? = nil, _ payload: [UInt8] = []) -> ByteBuffer
    {
        HandmadeLink.raw(type, stream: stream, length: length, payload: payload)
    }

    static let violations: [Violation] = [
        Violation("an OPEN of 60 000 bytes", .tooLong) { [raw(.open, 1, length: 60_000)] },
        Violation("DATA of 16 MiB", .tooLong) { [open, raw(.data, 1, length: 0xFF_FFFF)] },
        Violation("a PING of 65 536 bytes", .tooLong) { [raw(.ping, length: 65_536)] },
        Violation("an unknown critical frame", .unknownFrame) { [raw(FrameType(rawValue: 0x3F), 0, [1, 2, 3])] },
        Violation("a count of bytes that were never sent", .impossibleCount) { [LinkFrames.ack(1 << 40)] },
        Violation("a count of all bits", .impossibleCount) { [LinkFrames.ack(.max)] },
        Violation("credit without end", .creditExceeded) {
            [open, StreamFrames.credit(.max, stream: 1), StreamFrames.credit(.max, stream: 1)]
        },
        Violation("data on a stream that never was", .unexpected) { [raw(.data, 77, [1, 2, 3])] },
        Violation("data on a stream of the server's that never was", .unexpected) { [raw(.data, 78, [1, 2, 3])] },
        Violation("data before OPENED", .unexpected) { [open, raw(.data, 1, [1, 2, 3])] },
        Violation("FIN on a stream that never was", .unexpected) { [StreamFrames.empty(.fin, stream: 9)] },
        Violation("OPENED for a stream of its own", .unexpected) { [open, StreamFrames.empty(.opened, stream: 1)] },
        Violation("an OPEN with the server's parity", .unexpected) {
            [Open(destination: .service(HostileSite.service), source: "").frame(stream: 2)]
        },
        Violation("the same OPEN twice", .unexpected) { [open, open] },
        Violation("an OPEN with stream 0", .unexpected) { [raw(.open, 0, [1, 1, 0x61, 0, 0])] },
        Violation("an OPEN cut short", .malformed) { [raw(.open, 1, [1, 200, 0x61])] },
        Violation("an OPEN of no known kind", .malformed) { [raw(.open, 1, [9, 1, 0x61, 0, 0])] },
        Violation("a name with control characters", .malformed) { [raw(.open, 1, [1, 4, 0x61, 0x0A, 0x1B, 0x5B, 0, 0])] },
        Violation("a REGISTER of 1 025 exposures", .tooLong) {
            [raw(.register, 0, [0, 0, 0, 0, 0, 0, 0, 1, 0x04, 0x01])]
        },
        Violation("a REGISTER that promises more than it holds", .malformed) {
            [raw(.register, 0, [0, 0, 0, 0, 0, 0, 0, 1, 0x04, 0x00, 1, 0x61])]
        },
        Violation("a second HELLO", .unexpected) { [raw(.hello, 0, [UInt8](repeating: 0, count: 100))] },
        Violation("a WELCOME", .unexpected) { [raw(.welcome, 0, [UInt8](repeating: 0, count: 60))] },
    ]

    /// Each violation ends the session of who commits it, with a CLOSE that says why, and nothing else.
    @Test("violations of an authenticated client", .timeLimit(.minutes(3)))
    func violations() async throws {
        try await HostileSite.attack(logLines: 80 + 3 * Self.violations.count) { site in
            for violation in Self.violations {
                let before = try await site.violations(violation.kind)
                let session = try await site.intrude()
                // In one piece, so that nothing the server does in between can make a frame legal.
                let frames = violation.frames().reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
                try? await session.link.send(frames)
                let close = try await session.link.waitForClose()
                #expect(close?.code == .protocolViolation, "\(violation): \(String(describing: close))")
                #expect(close?.reason.contains(violation.kind) == true, "\(violation): \(String(describing: close))")
                try await session.link.waitForEnd()
                try await site.expectIntrudersGone()
                #expect(try await site.violations(violation.kind) == before + 1, "\(violation)")
                #expect(try site.pair.server.isRunning, "\(violation)")
            }
        }
    }

    /// Data beyond the credit, towards a target that does not read: what may be held is bounded, then the session ends.
    @Test("data beyond the credit", .timeLimit(.minutes(2)))
    func creditViolation() async throws {
        let listener = try PlainSocket.listen()
        defer { listener.close() }
        try await HostileSite.attack(services: ["deaf": listener.port]) { site in
            let session = try await site.intrude()
            try await session.link.send(Open(destination: .service("deaf"), source: "").frame(stream: 1))
            _ = try await session.link.next(.opened)
            let piece = Self.raw(.data, 1, [UInt8](repeating: 0, count: 65_536))
            var sent = 0
            while !session.link.isOver, sent < 256 << 20 {
                guard (try? await session.link.send(piece)) != nil else { break }
                sent += 65_536
            }
            try await session.link.waitForEnd()
            try await site.expectIntrudersGone()
            figure("data beyond the credit: the session ended after \(sent >> 10) KiB")
            #expect(sent < 256 << 20)
            #expect(try await site.violations("credit_exceeded") == 1)
        }
    }

    /// A client that asks for streams without end and never reads the answers.
    @Test("an OPEN flood without reading", .timeLimit(.minutes(2)))
    func openFlood() async throws {
        try await HostileSite.attack { site in
            let session = try await site.intrude()
            try await session.link.setReading(false)
            let link = session.link
            // Its writes stall when the server stops taking them, so that nobody waits for them here.
            for number in 0..<40_000 {
                let open = Open(destination: .service("nothing-\(number)"), source: "flood \(number)")
                link.channel.writeAndFlush(open.frame(stream: StreamID(number * 2 + 1)), promise: nil)
                if number % 1_000 == 0 { try await Task.sleep(for: .milliseconds(5)) }
            }
            try await site.expectIntrudersGone(within: .seconds(30))
            #expect(try await site.violations("control_flood") == 1)
            await link.close()
        }
    }

    /// More streams than a client may have are refused one by one; those it has stay.
    @Test("more streams than allowed", .timeLimit(.minutes(1)))
    func tooManyStreams() async throws {
        try await HostileSite.attack(server: "limits: {streams_per_client: 50}") { site in
            let session = try await site.intrude()
            for number in 0..<200 {
                let open = Open(destination: .service(HostileSite.service), source: "many")
                try await session.link.send(open.frame(stream: StreamID(number * 2 + 1)))
            }
            var (opened, busy) = (0, 0)
            while opened + busy < 200, let (header, payload) = try await session.link.nextFrame() {
                var payload = payload
                if header.type == .opened { opened += 1 }
                if header.type == .refused, try Refusal(reading: &payload).code == .busy { busy += 1 }
            }
            #expect(opened == 50 && busy == 150)
            await session.link.close()
        }
    }

    /// Control frames that need no answer, and PINGs, by the hundred thousand.
    @Test("a flood of control frames", .timeLimit(.minutes(2)))
    func controlFlood() async throws {
        try await HostileSite.attack { site in
            let session = try await site.intrude()
            var burst = ByteBuffer()
            for number in 0..<1_000 {
                burst.writeImmutableBuffer(LinkFrames.ping(UInt64(number)))
                burst.writeImmutableBuffer(ResumeWindow(milliseconds: .max).frame())
                burst.writeImmutableBuffer(GoAway(deadlineMilliseconds: UInt32(number), reason: "flood").frame())
                burst.writeImmutableBuffer(Self.raw(FrameType(rawValue: 0xC5), 0, [UInt8](repeating: 1, count: 64)))
                burst.writeImmutableBuffer(Register(version: UInt64(number), exposures: []).frame())
            }
            try await session.link.setReading(false)
            for _ in 0..<100 { session.link.channel.writeAndFlush(burst, promise: nil) }
            try await Task.sleep(for: .seconds(2))
            try await site.kept.check()
            #expect(try site.pair.server.isRunning)
            await session.link.close()
            let newcomer = try await site.intrude()
            await newcomer.link.close()
        }
    }
}
