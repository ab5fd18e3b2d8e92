import NIOCore
import Testing
import TunnelWire

@Suite("Membership messages")
struct MembershipWireTests {
    static func update(_ name: String, _ status: MemberUpdate.Status, addresses: Int = 1) -> MemberUpdate {
        MemberUpdate(
            name: name, incarnation: Incarnation(generation: 7, counter: 3), status: status,
            addresses: (0..<addresses).map { PeerAddress(host: "10.0.0.\($0)", port: 17_000) }, id: WireID(high: 1, low: 2),
            instance: WireID(high: 3, low: 4))
    }

    static let updates = [
        update("a", .alive), update("b", .suspect(by: ["a", "c"])), update("c", .dead(forgetIn: 86_400_000), addresses: 0),
        update("d", .left(forgetIn: 0), addresses: 8), update("e", .restarting(within: .max)),
    ]

    static let messages: [MembershipMessage] = [
        .ping(sequence: 1, updates: updates), .ack(sequence: .max, updates: []),
        .pingRequest(sequence: 2, target: "x", updates: updates), .indirectAck(sequence: 3, target: "y", updates: updates),
        .indirectNack(sequence: 4, target: "z", hasLink: true, updates: []),
        .indirectNack(sequence: 4, target: "z", hasLink: false, updates: updates), .gossip(updates: updates),
        .sync(members: updates, wantsAnswer: true), .sync(members: [], wantsAnswer: false),
    ]

    static func encoded(_ message: MembershipMessage) -> ByteBuffer {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        return buffer
    }

    @Test("What is written is read back, and later fields are ignored", arguments: messages)
    func roundTrip(_ message: MembershipMessage) throws {
        var buffer = Self.encoded(message)
        buffer.writeString("a later version's")
        #expect(try MembershipMessage(reading: &buffer) == message)
    }

    @Test("A message cut anywhere is refused", arguments: messages)
    func truncation(_ message: MembershipMessage) {
        let whole = Self.encoded(message)
        for length in 0..<whole.readableBytes {
            var part = whole.getSlice(at: 0, length: length) ?? ByteBuffer()
            #expect(throws: WireError.self, "cut to \(length) bytes") { try MembershipMessage(reading: &part) }
        }
    }

    @Test("The length that is reckoned with is the one that is written", arguments: updates)
    func length(_ update: MemberUpdate) {
        var buffer = ByteBuffer()
        update.write(into: &buffer)
        #expect(buffer.readableBytes == update.encodedLength)
    }

    private func refusal(_ build: (inout ByteBuffer) -> Void) -> WireError.Kind? {
        var buffer = ByteBuffer()
        build(&buffer)
        do throws(WireError) {
            _ = try MembershipMessage(reading: &buffer)
            return nil
        } catch { return error.kind }
    }

    @Test("More than the limits allow is refused")
    func oversize() {
        let tooManyUpdates = self.refusal {
            $0.writeBytes([6])
            $0.writeInteger(UInt16(Limits.membershipUpdates + 1))
        }
        #expect(tooManyUpdates == .tooLong)
        #expect(self.refusal { $0.writeRepeatingByte(6, count: Limits.membershipMessage + 1) } == .tooLong)

        let tooManyAddresses = self.refusal {
            $0.writeBytes([6, 0, 1, 1, UInt8(ascii: "a")])
            $0.writeRepeatingByte(0, count: 48)
            $0.writeBytes([9])
        }
        #expect(tooManyAddresses == .tooLong)

        let tooManySuspecters = self.refusal {
            $0.writeBytes([6, 0, 1, 1, UInt8(ascii: "a")])
            $0.writeRepeatingByte(0, count: 48)
            $0.writeBytes([0, 2, UInt8(Limits.suspecters + 1)])
        }
        #expect(tooManySuspecters == .tooLong)
    }

    @Test("Unknown kinds, unknown states, bad names and unreachable incarnations are refused")
    func nonsense() {
        #expect(self.refusal { $0.writeBytes([99]) } == .malformed)
        let member = { (generation: UInt64, name: String, state: UInt8) in
            self.refusal {
                $0.writeBytes([6, 0, 1])
                $0.writeWireName(name)
                $0.writeInteger(generation)
                $0.writeRepeatingByte(0, count: 40)
                $0.writeBytes([0, state, 0, 0, 0, 0])
            }
        }
        #expect(member(1, "a", 1) == nil)
        #expect(member(1, "a", 6) == .malformed)
        #expect(member(1, "Not a name", 1) == .malformed)
        #expect(member(Limits.incarnation + 1, "a", 1) == .malformed)
    }

    @Test("What does not fit into a message is left out from its end; the rest can be read")
    func fitting() throws {
        let long = String(repeating: "a", count: 63)
        let updates = (100..<228).map {
            Self.update("\(long).\(long).m\($0)", .suspect(by: [long, "b", "c", "d"]), addresses: 8)
        }
        var buffer = Self.encoded(.sync(members: updates, wantsAnswer: false))
        #expect(buffer.readableBytes <= Limits.membershipMessage)
        let read = try MembershipMessage(reading: &buffer).updates
        #expect((1..<updates.count).contains(read.count))
        #expect(read == Array(updates.prefix(read.count)))
    }
}
