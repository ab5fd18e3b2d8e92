import NIOCore
import TunnelWire

/// A random conversation: what one end sends, frame by frame, with the frames that no version of the protocol knows yet.
struct Traffic {
    /// Whole sequenced frames in the order of their sequence.
    var sequenced: [[UInt8]] = []

    /// The bytes that are counted and replayed.
    var stream: [UInt8] { self.sequenced.flatMap { $0 } }

    init(frames: Int, using random: inout SeededRandom) {
        for _ in 0..<frames { self.sequenced.append(Self.sequencedFrame(using: &random)) }
    }

    static func sequencedFrame(using random: inout SeededRandom) -> [UInt8] {
        let stream = StreamID.random(in: 1...5, using: &random)
        let short = random.bytes(Int.random(in: 0...30, using: &random))
        return switch Int.random(in: 0..<14, using: &random) {
        case 0...3: rawFrame(0x05, stream: stream, random.bytes(Int.random(in: 0...300, using: &random)))
        case 4: rawFrame(0x05, stream: stream, random.bytes(Int.random(in: 0...5_000, using: &random)))
        case 5: rawFrame(0x01, stream: stream, Open(destination: .service(random.name()), source: random.text()).payload().bytes)
        case 6: StreamFrames.credit(UInt32.random(in: .min ... .max, using: &random), stream: stream).bytes
        case 7: StreamFrames.empty([.accepted, .opened, .fin].randomElement(using: &random) ?? .fin, stream: stream).bytes
        case 8: Reset(.connectionReset).frame(stream: stream).bytes
        case 9: GoAway(deadlineMilliseconds: 1, reason: random.text()).frame().bytes
        case 10: rawFrame(0x10, random.bytes(Int.random(in: 0...2_000, using: &random)))
        case 11: Self.peers(using: &random).frame().bytes
        case 12: Move(server: random.name()).frame().bytes
        default: rawFrame(Self.unknownOptionalType(using: &random), stream: stream, short)
        }
    }

    static func peers(using random: inout SeededRandom) -> Peers {
        let servers = (0..<Int.random(in: 0...6, using: &random)).map { _ in
            PeerServer(
                name: Bool.random(using: &random) ? random.name() : "",
                addresses: (0..<Int.random(in: 0...Limits.peerAddresses, using: &random)).map { _ in
                    PeerAddress(host: random.host(), port: UInt16.random(in: 1 ... .max, using: &random))
                })
        }
        return Peers(version: random.next(), servers: servers)
    }

    /// The type of a sequenced frame that may name any stream, because nobody here knows it.
    private static func unknownOptionalType(using random: inout SeededRandom) -> UInt8 {
        (UInt8(0x80)...0xBF).filter { ![0x95, 0x96].contains($0) }.randomElement(using: &random) ?? 0x80
    }

    static func unsequencedFrame(using random: inout SeededRandom) -> [UInt8] {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: LinkFrames.ack(random.next()).bytes
        case 1: LinkFrames.ping(random.next()).bytes
        case 2: LinkFrames.pong(random.next()).bytes
        case 3: Close(.silent, random.text()).frame().bytes
        default: rawFrame(UInt8.random(in: 0xC0...0xFF, using: &random), random.bytes(Int.random(in: 0...40, using: &random)))
        }
    }

    /// What a fresh link carries to a receiver that has `received` bytes: the rest of the frame it was cut in, then the
    /// frames after it, with unsequenced ones between frames.
    func link(after received: Int, using random: inout SeededRandom) -> LinkBytes {
        var link = LinkBytes()
        var start = 0
        for frame in self.sequenced {
            let rest = frame.dropFirst(max(0, received - start))
            let isNew = received <= start
            start += frame.count
            if isNew, Int.random(in: 0..<3, using: &random) == 0 {
                link.append(unsequenced: Self.unsequencedFrame(using: &random))
            }
            link.bytes += rest
        }
        link.append(unsequenced: Self.unsequencedFrame(using: &random))
        return link
    }
}

/// The bytes of one link and where its unsequenced frames lie in them.
struct LinkBytes {
    var bytes: [UInt8] = []
    private var unsequenced: [Range<Int>] = []

    mutating func append(unsequenced frame: [UInt8]) {
        self.unsequenced.append(self.bytes.count..<(self.bytes.count + frame.count))
        self.bytes += frame
    }

    /// The unsequenced frames of known types that lie whole within the first `count` bytes.
    func unsequencedFrames(within count: Int) -> [[UInt8]] {
        self.unsequenced.filter { $0.upperBound <= count }.map { Array(self.bytes[$0]) }.filter { $0[4] & 0x80 == 0 }
    }
}

/// Collects what comes out of a decoder: data as one run per stream, the unsequenced frames apart.
struct Collector {
    private(set) var sequenced: [ReferenceDecoder.Item] = []
    private(set) var unsequenced: [[UInt8]] = []

    mutating func take(_ frame: DecodedFrame) {
        switch frame {
        case .data(let stream, let piece):
            if case .data(stream, let earlier)? = self.sequenced.last {
                self.sequenced[self.sequenced.count - 1] = .data(stream: stream, bytes: earlier + piece.bytes)
            } else {
                self.sequenced.append(.data(stream: stream, bytes: piece.bytes))
            }
        case .frame(let header, let payload):
            if header.type.isSequenced {
                self.sequenced.append(.frame(stream: header.stream, type: header.type.rawValue, payload: payload.bytes))
            } else {
                self.unsequenced.append(rawFrame(header.type.rawValue, stream: header.stream, payload.bytes))
            }
        }
    }
}
