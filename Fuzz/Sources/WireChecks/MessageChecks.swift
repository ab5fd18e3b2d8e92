import NIOCore
import TunnelWire

/// Decodes a message, encodes what came out and decodes that again: nothing may crash, change or grow.
package enum MessageChecks {
    /// The body of the fuzz target for HELLO, PROOF and WELCOME: the first byte chooses, the rest is the payload.
    package static func handshake(_ input: [UInt8]) -> String? {
        switch Self.choose(input, of: 3) {
        case 0: Self.roundTrip(Hello.self, input, texts: \.texts, names: { [$0.name] })
        case 1: Self.roundTrip(Proof.self, input)
        default: Self.roundTrip(Welcome.self, input)
        }
    }

    /// The body of the fuzz target for all the other messages.
    package static func control(_ input: [UInt8]) -> String? {
        switch Self.choose(input, of: 14) {
        case 0: Self.roundTrip(Register.self, input, names: { $0.exposures.map(\.name) }) ?? Self.controlMessage(.register, input)
        case 1:
            Self.roundTrip(
                Registered.self, input, texts: { $0.results.compactMap(\.problem) }, names: { $0.results.map(\.name) })
                ?? Self.controlMessage(.registered, input)
        case 2: Self.roundTrip(Services.self, input, names: { $0.services.map(\.name) }) ?? Self.controlMessage(.services, input)
        case 3: Self.roundTrip(GoAway.self, input, texts: { [$0.reason] }) ?? Self.controlMessage(.goAway, input)
        case 4: Self.roundTrip(ResumeWindow.self, input) ?? Self.controlMessage(.resumeWindow, input)
        case 5: Self.roundTrip(Open.self, input, texts: { [$0.source] }, names: \.names, hosts: \.hosts)
        case 6: Self.roundTrip(Refusal.self, input, texts: { [$0.reason] })
        case 7: Self.roundTrip(Reset.self, input)
        case 8: Self.roundTrip(Close.self, input, texts: { [$0.reason] })
        case 9: Self.roundTrip(Peers.self, input, names: \.names, hosts: \.hosts) ?? Self.controlMessage(.peers, input)
        case 10: Self.roundTrip(Move.self, input, names: { [$0.server] }) ?? Self.controlMessage(.move, input)
        case 11: Self.roundTrip(Gossip.self, input) ?? Self.controlMessage(.gossip, input)
        case 12: Self.roundTrip(ClusterFrame.self, input)
        default: Self.fragments(input)
        }
    }

    /// Fragments as a peer might send them: each begins with two octets, its length and whether more follows.
    private static func fragments(_ input: [UInt8]) -> String? {
        var assembler = FragmentAssembler(limit: 256)
        var (rest, gathered): (ArraySlice<UInt8>, [UInt8]) = (input.dropFirst(), [])
        while let length = rest.popFirst(), let flags = rest.popFirst() {
            let (piece, hasMore) = (rest.prefix(Int(length)), flags & 1 == 1)
            rest = rest.dropFirst(Int(length))
            gathered += piece
            guard let message = try? assembler.add(ByteBuffer(bytes: piece), hasMore: hasMore) else {
                // Either more is to come, or the message is too long and its session ends.
                if gathered.count > 256 { return assembler.heldBytes <= 256 ? nil : "more is held than a message may be long" }
                if !hasMore { return "a message of \(gathered.count) bytes is missing" }
                continue
            }
            if hasMore || Array(message.readableBytesView) != gathered { return "a message is not what its fragments were" }
            gathered = []
        }
        return nil
    }

    private static func choose(_ input: [UInt8], of count: UInt8) -> UInt8 { (input.first ?? 0) % count }

    private static func roundTrip<Message: WirePayload & Equatable>(
        _ type: Message.Type, _ input: [UInt8], texts: (Message) -> [String] = { _ in [] },
        names: (Message) -> [String] = { _ in [] }, hosts: (Message) -> [String] = { _ in [] }
    ) -> String? {
        let payload = ByteBuffer(bytes: input.dropFirst().prefix(Message.frameType.payloadLimit))
        guard let message = Self.decode(type, payload) else { return nil }
        for text in texts(message) where text.utf8.count > 200 || !text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
            return "\(type) let through text that is not printable or too long"
        }
        for host in hosts(message)
        where !(1...253).contains(host.utf8.count) || host.utf8.contains(where: { $0 < 0x21 || $0 > 0x7E }) {
            return "\(type) let through the host \"\(host)\""
        }
        for name in names(message) where !WireName.isValid(name) { return "\(type) let through the name \"\(name)\"" }
        let encoded = message.payload()
        guard encoded.readableBytes <= payload.readableBytes else { return "\(type) grew when it was encoded" }
        guard let again = Self.decode(type, encoded) else { return "\(type) does not decode what it encoded" }
        guard again == message else { return "\(type) changed when it was encoded and decoded" }
        guard again.payload() == encoded else { return "\(type) has two encodings" }
        var decoder = FrameDecoder()
        decoder.feed(message.frame(stream: Message.frameType.belongsToStream ? 1 : 0))
        guard case .frame(let header, encoded)? = try? decoder.next(), header.type == Message.frameType else {
            return "\(type) in a frame does not pass the decoder"
        }
        return nil
    }

    /// Session control is read by way of ``ControlMessage``, which must say the same.
    private static func controlMessage(_ type: FrameType, _ input: [UInt8]) -> String? {
        let payload = ByteBuffer(bytes: input.dropFirst().prefix(type.payloadLimit))
        guard let message = try? ControlMessage(type, payload: payload) else { return nil }
        var decoder = FrameDecoder()
        decoder.feed(message.frame())
        guard case .frame(let header, let encoded)? = try? decoder.next(), header.type == type else {
            return "a control message in a frame does not pass the decoder"
        }
        return (try? ControlMessage(type, payload: encoded)) == message ? nil : "a control message changed on its way"
    }

    private static func decode<Message: WirePayload>(_ type: Message.Type, _ payload: ByteBuffer) -> Message? {
        var payload = payload
        return try? Message(reading: &payload)
    }
}

extension Hello {
    fileprivate var texts: [String] { [self.cluster, self.tokenID, self.software] }
}

extension Peers {
    /// An empty name stands for one that is not known.
    fileprivate var names: [String] { self.servers.map(\.name).filter { !$0.isEmpty } }
    fileprivate var hosts: [String] { self.servers.flatMap { $0.addresses.map(\.host) } }
}

extension Open {
    fileprivate var hosts: [String] {
        if case .address(let host, _) = self.destination { [host] } else { [] }
    }

    fileprivate var names: [String] {
        switch self.destination {
        case .service(let name): [name]
        case .exposure(let client, let name): [client, name]
        case .address: []
        }
    }
}
