import NIOCore
import TunnelWire

/// Sends bytes through the decoder in pieces, with links lost in between, and compares it with the reference.
package enum FrameDecoderCheck {
    /// One step of a plan: how many bytes of the wire arrive, and whether the link breaks behind them.
    package struct Step: Sendable {
        package var length: Int
        package var breaksLink: Bool

        package init(length: Int, breaksLink: Bool) {
            self.length = length
            self.breaksLink = breaksLink
        }
    }

    /// The body of the fuzz target. The low four bits of the first byte are the number of steps, `0x10` asks for the
    /// decoder of a handshake. Then come two bytes for each step: the low 15 bits are a length, the highest one says that
    /// the link breaks. The rest is the wire.
    ///
    /// - Returns: what is broken, nil when all holds.
    package static func run(_ input: [UInt8]) -> String? {
        let count = min(Int(input.first ?? 0) & 15, max(0, input.count - 1) / 2)
        let steps = (0..<count).map { index in
            let word = Int(input[1 + 2 * index]) << 8 | Int(input[2 + 2 * index])
            return Step(length: word & 0x7FFF, breaksLink: word & 0x8000 != 0)
        }
        let wire = Array(input.dropFirst(1 + 2 * count))
        return Self.compare(wire: wire, steps: steps, isHandshake: (input.first ?? 0) & 0x10 != 0)
    }

    /// - Returns: what is broken, nil when the decoder agrees with the reference after every step.
    package static func compare(wire: [UInt8], steps: [Step], isHandshake: Bool = false) -> String? {
        var run = Comparison(isHandshake: isHandshake)
        var rest = wire[...]
        for step in steps + [Step(length: wire.count, breaksLink: false)] {
            let piece = rest.prefix(step.length)
            rest = rest.dropFirst(step.length)
            if let broken = run.feed(Array(piece)) { return broken }
            if run.isOver { return nil }
            if step.breaksLink { run.linkLost() }
        }
        return nil
    }
}

/// Both decoders, and what the real one has made of its bytes so far.
private struct Comparison {
    private var decoder: FrameDecoder
    private var reference: ReferenceDecoder
    private var items: [ReferenceDecoder.Item] = []
    private(set) var isOver = false

    init(isHandshake: Bool) {
        self.decoder = FrameDecoder(isHandshake: isHandshake)
        self.reference = ReferenceDecoder(isHandshake: isHandshake)
    }

    mutating func feed(_ piece: [UInt8]) -> String? {
        let before = self.decoder.received
        self.decoder.feed(ByteBuffer(bytes: piece))
        self.reference.take(piece)
        var error: WireError?
        do throws(WireError) {
            while let frame = try self.decoder.next() {
                if let broken = self.take(frame) { return broken }
            }
        } catch let problem {
            error = problem
        }
        return self.compare(before: before, error: error)
    }

    mutating func linkLost() {
        self.decoder.linkLost()
        self.reference.linkLost()
    }

    private mutating func take(_ frame: DecodedFrame) -> String? {
        switch frame {
        case .data(let stream, let buffer):
            let bytes = Array(buffer.readableBytesView)
            guard !bytes.isEmpty else { return "an empty piece of data" }
            if case .data(stream, let earlier)? = self.items.last {
                self.items.removeLast()
                self.items.append(.data(stream: stream, bytes: earlier + bytes))
            } else {
                self.items.append(.data(stream: stream, bytes: bytes))
            }
        case .frame(let header, let payload):
            guard header.length == payload.readableBytes else { return "a payload that is not as long as its header says" }
            self.items.append(
                .frame(stream: header.stream, type: header.type.rawValue, payload: Array(payload.readableBytesView)))
        }
        return nil
    }

    private mutating func compare(before: UInt64, error: WireError?) -> String? {
        guard error?.kind.rawValue == self.reference.refusal?.rawValue else {
            return "refused as \(error?.kind.rawValue ?? "nothing") instead of \(self.reference.refusal?.rawValue ?? "nothing")"
        }
        guard self.decoder.received >= before else { return "the count of received bytes went down" }
        guard self.decoder.received == self.reference.received else {
            return "counted \(self.decoder.received) bytes instead of \(self.reference.received)"
        }
        guard self.items == self.reference.items else { return "other frames than the reference" }
        guard error == nil else {
            self.isOver = true
            return nil
        }
        guard self.decoder.heldBytes <= self.reference.pendingBytes else {
            return "holds \(self.decoder.heldBytes) bytes of the \(self.reference.pendingBytes) that are pending"
        }
        return nil
    }
}
