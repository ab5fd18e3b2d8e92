import NIOCore
import Testing
import TunnelWire

/// Random messages come out of the decoder as they went into the encoder, whatever a later version appends to them.
@Suite struct RoundTripTests {
    private func check<Message: WirePayload & Equatable>(_ message: Message, _ random: inout SeededRandom) throws {
        let payload = message.payload().bytes
        #expect(payload.count <= Message.frameType.payloadLimit)
        #expect(try Message.decode(payload) == message)
        #expect(try Message.decode(payload + random.bytes(5)) == message, "fields of a later version are ignored")
        if let control = try ControlMessage(Message.frameType, payload: message.payload()) {
            #expect(control.frame() == message.frame())
        }
    }

    private func each(_ body: (inout SeededRandom) throws -> Void) rethrows {
        for seed in UInt64(1)...200 {
            var random = SeededRandom(seed: seed)
            try body(&random)
        }
    }

    @Test func handshake() throws {
        try self.each { random in
            var hello = Hello(
                role: Bool.random(using: &random) ? .server : .client,
                method: Bool.random(using: &random) ? .token : .certificate,
                name: random.name(), installation: random.wireID(), instance: random.wireID(), cluster: random.text(),
                nonce: random.bytes(32), tokenID: random.text(), software: random.text(),
                resume: Bool.random(using: &random)
                    ? ResumeRequest(server: random.wireID(), session: random.wireID(), received: random.next()) : nil)
            hello.minimumVersion = UInt16.random(in: .min ... .max, using: &random)
            hello.maximumVersion = UInt16.random(in: .min ... .max, using: &random)
            hello.capabilities = random.next()
            try self.check(hello, &random)
            let isEmpty = Bool.random(using: &random)
            try self.check(Proof(link: isEmpty ? [] : random.bytes(32), session: isEmpty ? random.bytes(32) : []), &random)
            try self.check(
                Welcome(
                    session: random.wireID(), secret: isEmpty ? [] : random.bytes(32), resumed: isEmpty, received: random.next()),
                &random)
        }
    }

    @Test func sessionControl() throws {
        try self.each { random in
            let count = Int.random(in: 0...40, using: &random)
            let names = (0..<count).map { _ in random.name() }
            let ports = (0..<count).map { _ in Bool.random(using: &random) ? nil : UInt16.random(in: 1...65_535, using: &random) }
            let flags = (0..<count).map { _ in Bool.random(using: &random) }
            let version = random.next()
            try self.check(
                Register(
                    version: version,
                    exposures: (0..<count).map {
                        ExposureDeclaration(name: names[$0], mappedPort: ports[$0], isHealthy: flags[$0])
                    }), &random)
            let problems = flags.map { $0 ? random.text() : nil }
            try self.check(
                Registered(
                    version: version,
                    results: (0..<count).map {
                        ExposureResult(name: names[$0], mappedPort: ports[$0], problem: problems[$0])
                    }), &random)
            try self.check(
                Services(
                    (0..<count).map {
                        ServiceAnnouncement(name: names[$0], isHealthy: flags[$0], mayHedgeDial: ports[$0] == nil)
                    }), &random)
            let word = UInt32.random(in: .min ... .max, using: &random)
            try self.check(GoAway(deadlineMilliseconds: word, reason: random.text()), &random)
            try self.check(ResumeWindow(milliseconds: word), &random)
            try self.check(Traffic.peers(using: &random), &random)
            try self.check(Move(server: random.name()), &random)
        }
    }

    @Test func streamsAndLinks() throws {
        try self.each { random in
            let destinations: [Destination] = [
                .service(random.name()), .exposure(client: random.name(), name: random.name()),
                .address(host: random.host(), port: UInt16.random(in: .min ... .max, using: &random)),
            ]
            for destination in destinations {
                try self.check(
                    Open(destination: destination, isRelayed: Bool.random(using: &random), source: random.text()), &random)
            }
            for code in RefusalCode.allCases { try self.check(Refusal(code, random.text()), &random) }
            for code in ResetCode.allCases { try self.check(Reset(code), &random) }
            for code in CloseCode.allCases { try self.check(Close(code, random.text()), &random) }
        }
    }

    @Test func headers() {
        self.each { random in
            let header = FrameHeader(
                stream: StreamID.random(in: .min ... .max, using: &random),
                type: FrameType(rawValue: UInt8.random(in: .min ... .max, using: &random)),
                length: Int.random(in: 0...0xFF_FFFF, using: &random))
            #expect(FrameHeader(packed: header.packed) == header)
        }
    }

    @Test func identifiers() {
        self.each { random in
            let bytes = random.bytes(16)
            var buffer = ByteBuffer()
            WireID(bytes: bytes)?.write(into: &buffer)
            #expect(buffer.bytes == bytes)
            #expect(WireID(bytes: bytes)?.description == bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
        }
        #expect(WireID(bytes: [1, 2, 3]) == nil)
    }

    /// A code that a later version adds is not an error here, it is read as the least specific one.
    @Test func codesOfALaterVersion() throws {
        #expect(try Refusal.decode(hex("ffff 00")).code == .other)
        #expect(try Reset.decode(hex("ffff")).code == .other)
        #expect(try Close.decode(hex("ffff 00")).code == .shutdown)
    }

    @Test func versionRanges() throws {
        var mine = Hello(
            role: .client, method: .token, name: "a", installation: WireID(high: 0, low: 0), instance: WireID(high: 0, low: 0),
            cluster: "", nonce: [], tokenID: "", software: "", resume: nil)
        var theirs = mine
        (mine.minimumVersion, mine.maximumVersion) = (2, 5)
        for (low, high, common) in [(1, 1, nil), (1, 2, 2), (3, 4, 4), (4, 9, 5), (5, 5, 5), (6, 9, nil), (5, 2, nil)] {
            (theirs.minimumVersion, theirs.maximumVersion) = (UInt16(low), UInt16(high))
            #expect(mine.commonVersion(with: theirs) == common.map(UInt16.init))
            #expect(theirs.commonVersion(with: mine) == common.map(UInt16.init))
        }
    }
}
