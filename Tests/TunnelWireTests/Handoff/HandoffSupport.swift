import NIOCore

@testable import TunnelWire

extension HandoffKind {
    /// Kinds that nobody else has.
    static let first = HandoffKind(rawValue: 0x7E01)
    static let second = HandoffKind(rawValue: 0x7E02)
    static let critical = HandoffKind(rawValue: 0x7EFF)
    static let optional = HandoffKind(rawValue: 0xFE01)
}

extension HandoffRecord {
    init(_ kind: HandoffKind, _ text: String) { self.init(kind, ByteBuffer(string: text)) }
}

/// A whole handoff.
func handoff(_ records: [HandoffRecord], software: String = "1.2.3") -> [UInt8] {
    var writer = HandoffWriter(software: software)
    writer.append(records)
    writer.finish()
    return writer.takeOutput().flatMap { Array($0.readableBytesView) }
}

/// What a reader that knows `first` and `second` makes of a file that is read in pieces of so many bytes.
func readHandoff(_ file: some Collection<UInt8>, pieces: Int = 1 << 16) throws(HandoffError) -> [HandoffRecord] {
    var reader = HandoffReader(known: [.first, .second])
    var records: [HandoffRecord] = []
    var rest = file[...]
    while !rest.isEmpty {
        reader.feed(ByteBuffer(bytes: rest.prefix(pieces)))
        rest = rest.dropFirst(pieces)
        while let record = try reader.next() { records.append(record) }
    }
    try reader.finish()
    return records
}

/// Why a file is refused; nil when it is not.
func handoffRefusal(_ file: some Collection<UInt8>, pieces: Int = 1 << 16) -> HandoffError? {
    do throws(HandoffError) {
        _ = try readHandoff(file, pieces: pieces)
        return nil
    } catch {
        return error
    }
}

/// A file written byte by byte, with checksums that are right: what no writer would make.
struct HandoffForger {
    private(set) var file = ByteBuffer()
    private var records: UInt64 = 0

    init(format: UInt16 = HandoffFormat.newest, software: [UInt8] = Array("9.9".utf8), length: UInt8? = nil) {
        self.file.writeInteger(HandoffFormat.magic)
        self.file.writeInteger(format)
        self.file.writeInteger(length ?? UInt8(software.count))
        self.file.writeBytes(software)
        self.file.writeRepeatingByte(0, count: HandoffFormat.softwareBytes - software.count)
        var checksum = Checksum()
        self.file.withUnsafeReadableBytes { checksum.add($0) }
        self.file.writeInteger(checksum.value)
    }

    /// - Parameters:
    ///   - length: what the record says of its length, if that is not true.
    ///   - number: what it counts itself as, if that is not true.
    mutating func add(_ kind: HandoffKind, _ payload: [UInt8] = [], length: UInt64? = nil, number: UInt64? = nil) {
        let length = length ?? UInt64(payload.count)
        var checksum = Checksum(record: number ?? self.records, kind: kind, length: length)
        self.file.writeInteger(kind.rawValue)
        self.file.writeInteger(length)
        self.file.writeInteger(checksum.value)
        payload.withUnsafeBytes { checksum.add($0) }
        self.file.writeBytes(payload)
        self.file.writeInteger(checksum.value)
        self.records += 1
    }

    mutating func end(count: UInt64? = nil) {
        self.add(.end, withUnsafeBytes(of: (count ?? self.records).bigEndian) { Array($0) })
    }
}
