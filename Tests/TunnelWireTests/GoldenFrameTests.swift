import NIOCore
import Testing
import TunnelWire

/// Frames written out by hand from the description of the protocol: another implementation can be checked against them.
/// Each is encoded to exactly these bytes and decoded back to the same value.
@Suite struct GoldenFrameTests {
    private static let installation = WireID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
    private static let instance = WireID(high: 0x1011_1213_1415_1617, low: 0x1819_1A1B_1C1D_1E1F)
    private static let server = WireID(high: 0x2021_2223_2425_2627, low: 0x2829_2A2B_2C2D_2E2F)
    private static let session = WireID(high: 0x3031_3233_3435_3637, low: 0x3839_3A3B_3C3D_3E3F)
    private static let thirtyTwo = [UInt8](repeating: 0xA5, count: 32)
    private static let thirtyTwoHex = String(repeating: "a5", count: 32)

    private func check<Message: WirePayload & Equatable>(
        _ message: Message, stream: StreamID = 0, _ golden: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let golden = hex(golden)
        #expect(message.frame(stream: stream).bytes == golden, sourceLocation: sourceLocation)
        #expect(message.payload().bytes == Array(golden.dropFirst(8)), sourceLocation: sourceLocation)
        var decoder = FrameDecoder()
        let frames = try decoder.take(golden)
        guard case .frame(let header, var payload)? = frames.first else {
            Issue.record("no frame came out", sourceLocation: sourceLocation)
            return
        }
        #expect(frames.count == 1, sourceLocation: sourceLocation)
        #expect(header.stream == stream && header.type == Message.frameType, sourceLocation: sourceLocation)
        #expect(try Message(reading: &payload) == message, sourceLocation: sourceLocation)
        #expect(payload.readableBytes == 0, sourceLocation: sourceLocation)
        #expect(decoder.received == (header.type.isSequenced ? UInt64(golden.count) : 0), sourceLocation: sourceLocation)
    }

    // MARK: The handshake

    @Test func hello() throws {
        let hello = Hello(
            role: .client, method: .token, name: "w1", installation: Self.installation, instance: Self.instance, cluster: "c",
            nonce: Self.thirtyTwo, tokenID: "ab", software: "0.1", resume: nil)
        let golden = """
            00000000 50 00005b  0001 0001 02 01  02 7731
            000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f
            01 63  0000000000000000  \(Self.thirtyTwoHex)  02 6162  03 302e31  00
            """
        try self.check(hello, golden)
    }

    @Test func helloThatResumes() throws {
        var hello = Hello(
            role: .server, method: .certificate, name: "s", installation: Self.installation, instance: Self.instance,
            cluster: "", nonce: Self.thirtyTwo, tokenID: "", software: "",
            resume: ResumeRequest(server: Self.server, session: Self.session, received: 0x0102_0304_0506_0708))
        hello.maximumVersion = 3
        hello.capabilities = 5
        let golden = """
            00000000 50 00007c  0001 0003 01 02  01 73
            000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f
            00  0000000000000005  \(Self.thirtyTwoHex)  00  00  01
            202122232425262728292a2b2c2d2e2f 303132333435363738393a3b3c3d3e3f 0102030405060708
            """
        try self.check(hello, golden)
    }

    @Test func proof() throws {
        try self.check(Proof(link: Self.thirtyTwo), "00000000 51 000022  20 \(Self.thirtyTwoHex)  00")
        try self.check(
            Proof(link: Self.thirtyTwo, session: Self.thirtyTwo),
            "00000000 51 000042  20 \(Self.thirtyTwoHex)  20 \(Self.thirtyTwoHex)")
        try self.check(Proof(link: []), "00000000 51 000002  00 00")
    }

    @Test func welcome() throws {
        try self.check(
            Welcome(session: Self.session, secret: Self.thirtyTwo, resumed: false, received: 0),
            """
            00000000 52 00003a  303132333435363738393a3b3c3d3e3f 00 0000000000000000 20
            \(Self.thirtyTwoHex)
            """)
        try self.check(
            Welcome(session: Self.session, secret: [], resumed: true, received: 0x1_0000_0002),
            "00000000 52 00001a  303132333435363738393a3b3c3d3e3f 01 0000000100000002 00")
    }

    // MARK: Streams

    @Test func open() throws {
        try self.check(
            Open(destination: .service("api"), source: "1.2.3.4:5"), stream: 0x0102_0304,
            "01020304 01 000010  01 03 617069  00  09 312e322e332e343a35")
        try self.check(
            Open(destination: .exposure(client: "w1", name: "ssh"), isRelayed: true, source: ""), stream: 2,
            "00000002 01 00000a  02 02 7731 03 737368  01  00")
        try self.check(
            Open(destination: .address(host: "10.1.0.5", port: 10_250), source: "e"), stream: 4,
            "00000004 01 00000f  03 08 31302e312e302e35 280a  00  01 65")
    }

    @Test func refused() throws {
        try self.check(Refusal(.connectionRefused, "no"), stream: 1, "00000001 04 000005  0006 02 6e6f")
    }

    @Test(arguments: zip(RefusalCode.allCases, UInt16(1)...10))
    func refusalCodes(code: RefusalCode, number: UInt16) { #expect(code.rawValue == number) }

    @Test func reset() throws {
        try self.check(Reset(.withdrawn), stream: 1, "00000001 08 000002  0005")
    }

    @Test(arguments: zip(ResetCode.allCases, UInt16(1)...6))
    func resetCodes(code: ResetCode, number: UInt16) { #expect(code.rawValue == number) }

    @Test func framesWithoutAMessage() {
        #expect(StreamFrames.empty(.accepted, stream: 3).bytes == hex("00000003 02 000000"))
        #expect(StreamFrames.empty(.opened, stream: 3).bytes == hex("00000003 03 000000"))
        #expect(StreamFrames.empty(.fin, stream: 3).bytes == hex("00000003 07 000000"))
        #expect(StreamFrames.credit(65_536, stream: 3).bytes == hex("00000003 06 000004  00010000"))
        #expect(LinkFrames.ack(0x0102_0304_0506_0708).bytes == hex("00000000 41 000008  0102030405060708"))
        #expect(LinkFrames.ping(1).bytes == hex("00000000 42 000008  0000000000000001"))
        #expect(LinkFrames.pong(1).bytes == hex("00000000 43 000008  0000000000000001"))
    }

    @Test func data() throws {
        #expect(
            FrameHeader(stream: 0xFFFF_FFFE, type: .data, length: 65_536).packed == 0xFFFF_FFFE_0501_0000,
            "the header in front of the largest DATA")
        var decoder = FrameDecoder()
        let frames = try decoder.take(hex("fffffffe 05 000003  616263"))
        #expect(frames == [.data(stream: 0xFFFF_FFFE, bytes: ByteBuffer(string: "abc"))])
        #expect(decoder.received == 11)
    }

    // MARK: The session and the link

    @Test func registration() throws {
        try self.check(
            Register(
                version: 9,
                exposures: [
                    ExposureDeclaration(name: "kubelet", mappedPort: nil, isHealthy: true),
                    ExposureDeclaration(name: "ssh", mappedPort: 20_022, isHealthy: false),
                ]),
            "00000000 10 00001c  0000000000000009 0002  07 6b7562656c6574 0000 01  03 737368 4e36 00")
        try self.check(
            Registered(
                version: 9,
                results: [
                    ExposureResult(name: "kubelet", mappedPort: nil, problem: nil),
                    ExposureResult(name: "ssh", mappedPort: 20_022, problem: "used"),
                ]),
            "00000000 11 000021  0000000000000009 0002  07 6b7562656c6574 0000 00  03 737368 4e36 01 04 75736564")
    }

    @Test func services() throws {
        try self.check(
            Services([
                ServiceAnnouncement(name: "a", isHealthy: true),
                ServiceAnnouncement(name: "b", isHealthy: false, mayHedgeDial: true),
                ServiceAnnouncement(name: "c", isHealthy: true, mayHedgeDial: true),
            ]),
            "00000000 12 00000b  0003  01 61 01  01 62 02  01 63 03")
        try self.check(Services([]), "00000000 12 000002  0000")
    }

    @Test func goAwayAndResumeWindow() throws {
        try self.check(GoAway(deadlineMilliseconds: 30_000, reason: "drain"), "00000000 13 00000a  00007530 05 647261696e")
        try self.check(GoAway(deadlineMilliseconds: 0, reason: ""), "00000000 13 000005  00000000 00")
        #expect(GoAway(deadlineMilliseconds: 0, reason: "").isCalledOff)
        #expect(!GoAway(deadlineMilliseconds: 1, reason: "").isCalledOff)
        try self.check(ResumeWindow(milliseconds: 5_000), "00000000 14 000004  00001388")
    }

    @Test func peersAndMove() throws {
        try self.check(
            Peers(
                version: 2,
                servers: [
                    PeerServer(name: "s1", addresses: []),
                    PeerServer(
                        name: "",
                        addresses: [PeerAddress(host: "10.0.0.12", port: 17_000), PeerAddress(host: "fd00::1", port: 443)]),
                ]),
            """
            00000000 95 000026  0000000000000002 0002  02 7331 00
            00 02 09 31302e302e302e3132 4268 07 666430303a3a31 01bb
            """)
        try self.check(Peers(version: 0, servers: []), "00000000 95 00000a  0000000000000000 0000")
        try self.check(Move(server: "s2"), "00000000 96 000003  02 7332")
        #expect(FrameType.peers.isOptional && FrameType.peers.isSequenced && FrameType.peers.isKnown)
        #expect(FrameType.move.isOptional && FrameType.move.isSequenced && FrameType.move.isKnown)
    }

    /// The same frames as in section 14 of the protocol's description.
    @Test func peersAndMoveAsDescribed() throws {
        try self.check(
            Peers(
                version: 1,
                servers: [
                    PeerServer(name: "server-a", addresses: []),
                    PeerServer(name: "", addresses: [PeerAddress(host: "10.0.0.12", port: 17_000)]),
                ]),
            """
            00000000 95 000022
            0000000000000001 0002 08 7365727665722d61 00 00 01 09 31302e302e302e3132 4268
            """)
        try self.check(Move(server: "server-b"), "00000000 96 000009 08 7365727665722d62")
    }

    @Test func close() throws {
        try self.check(Close(.notMe, "other"), "00000000 44 000008  0005 05 6f74686572")
    }

    @Test(arguments: zip(CloseCode.allCases, UInt16(1)...11))
    func closeCodes(code: CloseCode, number: UInt16) { #expect(code.rawValue == number) }
}
