import NIOCore
import Testing
import TunnelWire

/// What a hostile or broken peer may put into a message, and what becomes of it.
@Suite struct MessageLimitTests {
    /// Every message that ends before its last field does is malformed, at whichever byte it ends.
    @Test func truncatedAnywhere() throws {
        try self.truncate(
            Hello(
                role: .client, method: .token, name: "w1", installation: WireID(high: 1, low: 2),
                instance: WireID(high: 3, low: 4),
                cluster: "c", nonce: Array(repeating: 1, count: 32), tokenID: "t", software: "s",
                resume: ResumeRequest(server: WireID(high: 5, low: 6), session: WireID(high: 7, low: 8), received: 9)))
        try self.truncate(Proof(link: Array(repeating: 1, count: 32), session: Array(repeating: 2, count: 32)))
        try self.truncate(
            Welcome(session: WireID(high: 1, low: 2), secret: Array(repeating: 1, count: 32), resumed: false, received: 0))
        try self.truncate(
            Register(
                version: 1,
                exposures: [.init(name: "a", mappedPort: 1, isHealthy: true), .init(name: "b", mappedPort: nil, isHealthy: true)])
        )
        try self.truncate(
            Registered(
                version: 1,
                results: [.init(name: "a", mappedPort: 1, problem: "why"), .init(name: "b", mappedPort: nil, problem: nil)]))
        try self.truncate(Services([.init(name: "a", isHealthy: true), .init(name: "b", isHealthy: true)]))
        try self.truncate(GoAway(deadlineMilliseconds: 1, reason: "why"))
        try self.truncate(ResumeWindow(milliseconds: 1))
        let address = PeerAddress(host: "a", port: 1)
        try self.truncate(
            Peers(version: 1, servers: [.init(name: "a", addresses: [address, address]), .init(name: "", addresses: [address])]))
        try self.truncate(Move(server: "a"))
        try self.truncate(Open(destination: .service("a"), source: "s"))
        try self.truncate(Open(destination: .exposure(client: "a", name: "b"), source: "s"))
        try self.truncate(Open(destination: .address(host: "a", port: 1), source: "s"))
        try self.truncate(Refusal(.busy, "why"))
        try self.truncate(Reset(.cancelled))
        try self.truncate(Close(.busy, "why"))
    }

    private func truncate<Message: WirePayload & Equatable>(_ message: Message) throws {
        let payload = message.payload().bytes
        #expect(try Message.decode(payload) == message)
        for count in 0..<payload.count {
            let kind = refusal(try Message.decode(payload.prefix(count)))
            #expect(kind == .malformed, "\(Message.self) cut to \(count) bytes")
        }
    }

    // MARK: Names

    private static let badNames = [
        "", "A", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a b", "a\n", "a\u{0}", "ä", "a_b", "a/b", "\u{202E}a", "a.\u{301}b",
        String(repeating: "a", count: 64), String(repeating: "a.", count: 127),
    ]

    @Test(arguments: Self.badNames)
    func aBadNameIsRefused(name: String) {
        let bytes = [UInt8(name.utf8.count)] + Array(name.utf8)
        #expect(!WireName.isValid(name))
        #expect(refusal(try Destination.decode([1] + bytes)) == .malformed)
        #expect(refusal(try Destination.decode([2] + hex("01 61") + bytes)) == .malformed)
        #expect(refusal(try Services.decode(hex("0001") + bytes + [0])) == .malformed)
        #expect(refusal(try Register.decode(hex("0000000000000001 0001") + bytes + [0, 0, 0])) == .malformed)
        #expect(refusal(try Move.decode(bytes)) == .malformed)
        // In PEERS alone an empty name has a meaning: not known yet.
        let expected: WireError.Kind? = name.isEmpty ? nil : .malformed
        #expect(refusal(try Peers.decode(hex("0000000000000001 0001") + bytes + [0])) == expected)
    }

    @Test func namesThatAreNotTextAreRefused() {
        #expect(refusal(try Destination.decode(hex("01 02 ff61"))) == .malformed)
        #expect(refusal(try Destination.decode(hex("01 02 6100"))) == .malformed)
    }

    @Test(arguments: [
        "a", "0", "a-b", "k8s-worker-01.example", String(repeating: "a", count: 63), String(repeating: "a.", count: 126) + "a",
    ])
    func aGoodNameIsTaken(name: String) throws {
        #expect(WireName.isValid(name))
        var buffer = ByteBuffer()
        Destination.service(name).write(into: &buffer)
        #expect(try Destination(reading: &buffer) == .service(name))
    }

    /// A name that is too long must not arrive as a different, shorter one.
    @Test func anOverLongNameIsNotShortened() {
        let name = String(repeating: "a.", count: 126) + "ab"
        #expect(name.utf8.count == 254 && WireName.isValid(String(name.dropLast())))
        let open = Open(destination: .service(name), source: "")
        #expect(refusal(try Open.decode(open.payload().bytes)) == .malformed)
    }

    @Test(arguments: ["", "a b", "a\n", "ä", "\u{0}", String(repeating: "a", count: 254), String(repeating: "a", count: 999)])
    func aBadHostIsRefused(host: String) {
        let open = Open(destination: .address(host: host, port: 443), source: "")
        #expect(refusal(try Open.decode(open.payload().bytes)) == .malformed)
        let peers = Peers(version: 1, servers: [PeerServer(name: "a", addresses: [PeerAddress(host: host, port: 443)])])
        #expect(refusal(try Peers.decode(peers.payload().bytes)) == .malformed)
    }

    @Test(arguments: ["10.1.0.5", "fe80::1%eth0", "A_Host.example", String(repeating: "a", count: 253)])
    func aGoodHostIsTakenAsItIs(host: String) throws {
        let open = Open(destination: .address(host: host, port: 443), source: "")
        #expect(try Open.decode(open.payload().bytes) == open)
        let peers = Peers(version: 1, servers: [PeerServer(name: "a", addresses: [PeerAddress(host: host, port: 443)])])
        #expect(try Peers.decode(peers.payload().bytes) == peers)
    }

    @Test func aServerWithPort0IsRefused() {
        #expect(refusal(try Peers.decode(hex("0000000000000001 0001  01 61 01  01 62 0000"))) == .malformed)
    }

    @Test func whatAnErrorSaysIsPrintable() {
        let name = Array("x\u{1B}[31m\n".utf8)
        do throws(WireError) {
            _ = try Destination.decode([1, UInt8(name.count)] + name)
            Issue.record("a name with control characters was taken")
        } catch {
            #expect(error.description == "malformed: service \"x?[31m?\" is not a valid name")
        }
        #expect(WireError(.malformed, String(repeating: "\u{7}x", count: 300)).detail.utf8.count == 200)
    }

    // MARK: Text

    @Test func textIsCleanedAndCut() throws {
        let nasty = Array("a\u{1B}[2J\r\n\u{0}ä\u{7F}~".utf8)
        #expect(try Refusal.decode([0, 1, UInt8(nasty.count)] + nasty).reason == "a?[2J??????~")
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 255)
        #expect(try Refusal.decode([0, 1, 255] + long).reason.utf8.count == 200)
        #expect(Refusal(.other, String(repeating: "é", count: 300)).reason == String(repeating: "?", count: 200))
        let goAway = GoAway(deadlineMilliseconds: 0, reason: String(repeating: "\n", count: 999))
        #expect(try GoAway.decode(goAway.payload().bytes).reason == String(repeating: "?", count: 200))
    }

    // MARK: Values outside their range

    @Test func unknownKindsAreMalformed() {
        #expect(refusal(try Destination.decode([0])) == .malformed)
        #expect(refusal(try Destination.decode([4, 1, 0x61])) == .malformed)
        for (role, method) in [(0, 1), (3, 1), (1, 0), (1, 3)] as [(UInt8, UInt8)] {
            let start = hex("0001 0001") + [role, method] + [UInt8](repeating: 0, count: 200)
            #expect(refusal(try Hello.decode(start)) == .malformed)
        }
    }

    @Test(arguments: [UInt8(1), 31, 33, 255])
    func proofsAndSecretsHave32Bytes(count: UInt8) {
        let bytes = [count] + [UInt8](repeating: 1, count: 300)
        #expect(refusal(try Proof.decode(bytes)) == .malformed)
        #expect(refusal(try Proof.decode([0] + bytes)) == .malformed)
        #expect(refusal(try Welcome.decode([UInt8](repeating: 0, count: 25) + bytes)) == .malformed)
    }

    // MARK: Lists

    /// The count is refused before a single entry is read, so it cannot make anyone reserve memory.
    @Test(arguments: [1_025, 65_535])
    func aListThatIsTooLongIsRefused(count: Int) {
        let word = [UInt8(count >> 8), UInt8(count & 255)]
        #expect(refusal(try Services.decode(word)) == .tooLong)
        #expect(refusal(try Register.decode([UInt8](repeating: 0, count: 8) + word)) == .tooLong)
        #expect(refusal(try Registered.decode([UInt8](repeating: 0, count: 8) + word)) == .tooLong)
    }

    @Test func theLongestListIsTaken() throws {
        let entries = [[UInt8]](repeating: hex("01 61 0000 01"), count: 1_024).flatMap { $0 }
        #expect(try Register.decode(hex("0000000000000001 0400") + entries).exposures.count == 1_024)
    }

    /// Whatever a list holds, its frame is one that a reader takes.
    @Test func listsFitIntoAFrame() throws {
        let name = String(repeating: "a.", count: 126) + "a"
        let port = UInt16(20_000)
        let register = Register(
            version: 1, exposures: Array(repeating: .init(name: name, mappedPort: port, isHealthy: true), count: 3_000))
        let registered = Registered(
            version: 1,
            results: Array(
                repeating: .init(name: name, mappedPort: port, problem: String(repeating: "x", count: 500)), count: 3_000))
        let services = Services(Array(repeating: .init(name: name, isHealthy: true), count: 3_000))
        #expect(register.exposures.count == 254)
        #expect(registered.results.count >= 141)
        #expect(services.services.count == 200)
        for frame in [register.frame(), registered.frame(), services.frame()] {
            var decoder = FrameDecoder()
            let frames = try decoder.take(frame.bytes)
            guard case .frame(let header, let payload)? = frames.first else {
                Issue.record("a frame was not taken")
                continue
            }
            #expect(try ControlMessage(header.type, payload: payload)?.frame() == frame)
        }
        let short = Register(
            version: 1, exposures: Array(repeating: .init(name: "a", mappedPort: nil, isHealthy: true), count: 3_000))
        #expect(short.exposures.count == Limits.listEntries)
    }

    /// The counts of PEERS are refused before an entry is read.
    @Test func tooManyServersOrAddressesAreRefused() throws {
        let version = hex("0000000000000001")
        for count in [UInt8(65), 255] { #expect(refusal(try Peers.decode(version + [0, count])) == .tooLong) }
        #expect(refusal(try Peers.decode(version + hex("ffff"))) == .tooLong)
        for count in [UInt8(9), 255] { #expect(refusal(try Peers.decode(version + hex("0001 01 61") + [count])) == .tooLong) }
        let entry = hex("01 61 01  01 62 0001")
        let most = [[UInt8]](repeating: entry, count: 64).flatMap { $0 }
        #expect(try Peers.decode(version + hex("0040") + most).servers.count == 64)
        let addresses = [[UInt8]](repeating: hex("01 62 0001"), count: 8).flatMap { $0 }
        #expect(try Peers.decode(version + hex("0001 01 61 08") + addresses).servers.first?.addresses.count == 8)
    }

    /// What is announced is cut to what a reader takes: the first servers, the first addresses of each, one frame.
    @Test func announcedServersFitIntoAFrame() throws {
        let name = String(repeating: "a.", count: 126) + "a"
        let addresses = (1...20).map { PeerAddress(host: "10.0.0.\($0)", port: 17_000) }
        #expect(PeerServer(name: "a", addresses: addresses).addresses == Array(addresses.prefix(8)))
        let many = Peers(version: 1, servers: (1...100).map { PeerServer(name: "s\($0)", addresses: addresses) })
        #expect(many.servers.map(\.name) == (1...64).map { "s\($0)" })
        let long = [PeerAddress](repeating: PeerAddress(host: String(repeating: "h", count: 253), port: 1), count: 8)
        let largest = Peers(version: 1, servers: Array(repeating: PeerServer(name: name, addresses: long), count: 64))
        #expect(largest.servers.count == 28, "65 536 bytes hold 28 servers of 2 303 bytes")
        for peers in [many, largest] {
            var decoder = FrameDecoder()
            guard case .frame(let header, let payload)? = try decoder.take(peers.frame().bytes).first else {
                Issue.record("a frame was not taken")
                continue
            }
            #expect(try ControlMessage(header.type, payload: payload) == .peers(peers))
        }
    }

    /// As many servers as possible, and never a byte more than a frame holds.
    @Test func theFrameOfAnnouncedServersIsFilledButNotOverfilled() {
        for seed in UInt64(1)...400 {
            var random = SeededRandom(seed: seed)
            let servers = (0..<64).map { _ in
                PeerServer(
                    name: random.name(),
                    addresses: (0..<8).map { _ in
                        PeerAddress(host: String(repeating: "h", count: Int.random(in: 100...253, using: &random)), port: 1)
                    })
            }
            let peers = Peers(version: 1, servers: servers)
            let length = peers.payload().readableBytes
            #expect(length <= Limits.framePayload, "seed \(seed)")
            guard peers.servers.count < servers.count else { continue }
            let next = Peers(version: 1, servers: [servers[peers.servers.count]]).payload().readableBytes - 10
            #expect(length + next > Limits.framePayload, "seed \(seed)")
        }
    }

    @Test func framesThatAreNotSessionControl() throws {
        for type in [FrameType.open, .data, .ack, .hello, FrameType(rawValue: 0x99)] {
            #expect(try ControlMessage(type, payload: ByteBuffer()) == nil)
        }
    }
}
