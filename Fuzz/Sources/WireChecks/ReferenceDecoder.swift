/// A second decoder of frames, as slow and plain as can be: one byte at a time, nothing shared with the real one, not
/// even the tables. What the two make of the same bytes must be the same.
package struct ReferenceDecoder {
    package enum Item: Equatable, Sendable {
        case data(stream: UInt32, bytes: [UInt8])
        case frame(stream: UInt32, type: UInt8, payload: [UInt8])
    }

    package enum Refusal: String, Equatable, Sendable {
        case unknownFrame = "unknown_frame"
        case tooLong = "too_long"
        case unexpected
    }

    package private(set) var received: UInt64 = 0
    /// Set by the first header that is refused; nothing is taken after it.
    package private(set) var refusal: Refusal?

    private var finished: [Item] = []
    /// The data behind the last finished item. Pieces that follow one another on a stream are one item: where they are
    /// cut is the decoder's affair.
    private var dataStream: UInt32 = 0
    private var data: [UInt8] = []
    private var header: [UInt8] = []
    private var payload: [UInt8] = []

    private let isHandshake: Bool

    /// - Parameter isHandshake: take HELLO, PROOF, WELCOME and CLOSE only.
    package init(isHandshake: Bool = false) { self.isHandshake = isHandshake }

    package var items: [Item] {
        self.data.isEmpty ? self.finished : self.finished + [.data(stream: self.dataStream, bytes: self.data)]
    }

    package mutating func take(_ bytes: some Sequence<UInt8>) {
        for byte in bytes where self.refusal == nil { self.take(byte) }
    }

    /// What came of a header is always forgotten, what came of a frame only if that is not sequenced.
    package mutating func linkLost() {
        if self.header.count < 8 || !Self.isSequenced(self.header[4]) {
            self.header = []
            self.payload = []
        }
    }

    /// The bytes of the frame or header that is not complete.
    package var pendingBytes: Int { self.header.count == 8 ? self.payload.count : self.header.count }

    private mutating func take(_ byte: UInt8) {
        if self.header.count < 8 {
            self.header.append(byte)
            if self.header.count == 8 { self.headerComplete() }
        } else {
            if Self.isSequenced(self.header[4]) { self.received += 1 }
            self.payload.append(byte)
            if self.header[4] == 0x05 { self.append(data: byte) }
        }
        if self.refusal == nil, self.header.count == 8, self.payload.count == self.length { self.frameComplete() }
    }

    private mutating func headerComplete() {
        let type = self.header[4]
        if type & 0x80 == 0 && Self.limit(type) == nil {
            self.refusal = .unknownFrame
        } else if self.length > Self.limit(type) ?? 65_536 {
            self.refusal = .tooLong
        } else if Self.limit(type) != nil && (1...8).contains(type) != (self.stream != 0) {
            self.refusal = .unexpected
        } else if self.isHandshake && ![0x44, 0x50, 0x51, 0x52].contains(type) {
            self.refusal = .unexpected
        } else if Self.isSequenced(type) {
            self.received += 8
        }
    }

    private mutating func frameComplete() {
        let type = self.header[4]
        if type != 0x05 && Self.limit(type) != nil {
            self.endData()
            self.finished.append(.frame(stream: self.stream, type: type, payload: self.payload))
        }
        self.header = []
        self.payload = []
    }

    private mutating func append(data byte: UInt8) {
        if self.dataStream != self.stream { self.endData() }
        self.dataStream = self.stream
        self.data.append(byte)
    }

    private mutating func endData() {
        if !self.data.isEmpty { self.finished.append(.data(stream: self.dataStream, bytes: self.data)) }
        self.data = []
    }

    private var stream: UInt32 { self.header.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
    private var length: Int { self.header.suffix(3).reduce(0) { $0 << 8 | Int($1) } }

    private static func isSequenced(_ type: UInt8) -> Bool { type & 0x40 == 0 }

    /// The largest payload of a type, nil for the types that version 1 of the protocol does not know.
    private static func limit(_ type: UInt8) -> Int? {
        switch type {
        case 0x05, 0x10, 0x11, 0x12, 0x17, 0x60, 0x95: 65_536
        case 0x01...0x08, 0x13, 0x14, 0x96: 2_048
        case 0x41...0x44: 512
        case 0x50: 4_096
        case 0x51, 0x52: 1_024
        default: nil
        }
    }
}
