import NIOCore
import Testing
import TunnelWire

/// The messages of elections, assignments and duties come out as they went in, and nothing else gets in.
@Suite struct AgreementMessagesTests {
    private func bytes(_ message: ClusterMessage) -> ByteBuffer {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        return buffer
    }

    private func read(_ bytes: [UInt8]) throws -> ClusterMessage {
        var buffer = ByteBuffer(bytes: bytes)
        return try ClusterMessage(reading: &buffer)
    }

    @Test func messagesComeBackAsTheyWent() throws {
        var kinds: Set<[UInt8]> = []
        for seed in UInt64(1)...600 {
            var random = SeededRandom(seed: seed)
            let message = random.agreementMessage()
            var buffer = self.bytes(message)
            kinds.insert(buffer.getBytes(at: 0, length: 2) ?? [])
            #expect(try ClusterMessage(reading: &buffer) == message, "seed \(seed)")
            #expect(buffer.readableBytes == 0)
        }
        #expect(kinds.count == 5 + 8 + 2, "every kind of message was among them")
    }

    @Test func aMessageThatIsCutAnywhereIsRefused() throws {
        for seed in UInt64(1)...60 {
            var random = SeededRandom(seed: seed)
            let whole = self.bytes(random.agreementMessage())
            for length in 0..<min(whole.readableBytes, 500) {
                var cut = whole.getSlice(at: 0, length: length) ?? ByteBuffer()
                #expect(throws: WireError.self) { try ClusterMessage(reading: &cut) }
            }
        }
    }

    @Test func noiseIsReadOrRefusedAndNeverTraps() {
        var accepted = 0
        for seed in UInt64(1)...2_000 {
            var random = SeededRandom(seed: seed)
            var whole = self.bytes(random.agreementMessage())
            for _ in 0..<3 {
                let place = Int.random(in: 0..<whole.readableBytes, using: &random)
                whole.setInteger(UInt8.random(in: .min ... .max, using: &random), at: place)
            }
            guard let message = try? ClusterMessage(reading: &whole) else { continue }
            accepted += 1
            var again = self.bytes(message)
            #expect(throws: Never.self) { try ClusterMessage(reading: &again) }
        }
        #expect((1..<2_000).contains(accepted))
    }

    // MARK: Bytes

    /// Servers of two versions have to understand each other.
    @Test func theirBytes() throws {
        let voter = Voter(name: "ab", id: WireID(high: 1, low: 2))
        let id = hex("0000000000000001 0000000000000002")
        let request = VoteRequest(
            term: 3, candidate: voter, cluster: nil, epoch: 4, isPrevote: true, isTransfer: true, founders: 5)
        #expect(
            self.bytes(.election(.voteRequest(request))).bytes
                == hex("03 01 0000000000000003 02 6162") + id + hex("00 0000000000000004 03 0000000000000005"))
        #expect(
            self.bytes(.election(.heartbeatReply(.init(term: 1, voter: voter, round: 2, ballot: .zero)))).bytes
                == hex("03 04 0000000000000001 02 6162") + id + hex("0000000000000002 0000000000000000 0000000000000000"))
        let token = Ballot(term: 6, sequence: 7)
        let grant = PortGrant(client: "w", installation: voter.id, exposure: "x", token: token, isEnding: true)
        let write = AssignmentsMessage.write(
            base: .zero, ballot: token, changes: [.grant(513, grant), .free(2, token: .zero)])
        #expect(
            self.bytes(.assignments(write)).bytes
                == hex("04 03 0000000000000000 0000000000000000 0000000000000006 0000000000000007 02")
                + hex("01 0201 01 77") + id + hex("01 78 0000000000000006 0000000000000007 01")
                + hex("03 0002 0000000000000000 0000000000000000"))
        #expect(
            self.bytes(.assignments(.request(id: 9, .command(.transfer(nil))))).bytes == hex("04 06 0000000000000009 05"))
        #expect(self.bytes(.duty(.spread(count: 2, to: "ab"))).bytes == hex("05 02 00000002 02 6162"))
    }

    @Test(arguments: [
        "", "00", "06", "03 06", "04 09", "04 00", "05 03", "04 06 0000000000000001 08", "04 07 0000000000000001 04",
    ])
    func whatIsNoMessageIsRefused(digits: String) {
        #expect(refusal(try self.read(hex(digits))) == .malformed)
    }

    @Test func contradictionsAreRefused() {
        let nobody = [UInt8](repeating: 0, count: 16)
        let request = hex("04 06 0000000000000001 01 01 77") + nobody + hex("01 78")
        #expect(refusal(try self.read(request + hex("01 0001 0001"))) == nil)
        #expect(refusal(try self.read(request + hex("01 0002 0001"))) == .malformed)
        let holder = hex("01 77") + nobody + hex("01 78") + nobody
        #expect(refusal(try self.read(hex("04 07 0000000000000001 01 0001") + holder)) == nil)
        #expect(refusal(try self.read(hex("04 07 0000000000000001 01 0000") + holder)) == .malformed)
    }

    // MARK: Bounds

    /// A length that a peer says is checked before anything is made of it.
    @Test func listsHaveBounds() {
        let ballot = [UInt8](repeating: 0, count: 16)
        #expect(refusal(try self.read(hex("04 03") + ballot + ballot + hex("41"))) == .tooLong)
        let request = hex("04 06 0000000000000001 01 01 77") + [UInt8](repeating: 0, count: 16) + hex("01 78")
        #expect(refusal(try self.read(request + hex("41"))) == .tooLong)
        let noVoters = hex("00 0000000000000000 0000")
        #expect(refusal(try self.read(hex("04 04") + ballot + hex("00 0000000000000000 FFFF"))) == .tooLong)
        #expect(refusal(try self.read(hex("04 04") + ballot + noVoters + hex("FFFF"))) == .tooLong)
        #expect(refusal(try self.read(hex("04 04") + ballot + noVoters + hex("0000 00010000"))) == .tooLong)
        #expect(refusal(try self.read(hex("04 04") + ballot + noVoters + hex("0000 00000000 00010000"))) == .tooLong)
    }

    /// What a full write takes fits into one message of the control link.
    @Test func theLargestWriteFits() {
        let label = String(repeating: "a", count: 63)
        let name = [label, label, label, String(repeating: "a", count: 61)].joined(separator: ".")
        let id = WireID(high: .max, low: .max)
        let grant = PortGrant(client: name, installation: id, exposure: name, token: Ballot(term: .max, sequence: .max))
        let changes = (1...AssignmentsMessage.changeLimit).map { AssignmentChange.grant(UInt16($0), grant) }
        let message = self.bytes(.assignments(.write(base: .zero, ballot: .zero, changes: changes)))
        #expect(message.readableBytes > AssignmentsMessage.changeLimit * 500)
        #expect(message.readableBytes <= ClusterLimits.controlMessage)
    }

    /// Urgent messages never wait behind a state, which can be large.
    @Test func onlyStatesTakeTheDataLane() {
        for seed in UInt64(1)...300 {
            var random = SeededRandom(seed: seed)
            let message = random.agreementMessage()
            switch message {
            case .assignments(.install), .assignments(.fetched): #expect(message.lane == .data)
            default: #expect(message.lane == .control)
            }
        }
    }
}
