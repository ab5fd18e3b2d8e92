import NIOCore

/// Writes a handoff, record by record. It makes no system calls: take what it has with `takeOutput` after each record, so
/// that never more than a few records are in memory.
package struct HandoffWriter: Sendable {
    /// Records written so far.
    package private(set) var records: UInt64 = 0
    /// Bytes that wait to be taken.
    package private(set) var pendingBytes = 0
    private var output: [ByteBuffer] = []
    private var isFinished = false

    /// - Parameter software: the version of this program, for the messages of another one; printable ASCII, of which the first
    ///   49 bytes are kept.
    package init(software: String) {
        let text = Array(PrintableText.clean(software, limit: HandoffFormat.softwareBytes).utf8)
        var header = ByteBufferAllocator().buffer(capacity: HandoffFormat.headerBytes)
        header.writeInteger(HandoffFormat.magic)
        header.writeInteger(HandoffFormat.newest)
        header.writeInteger(UInt8(text.count))
        header.writeBytes(text)
        header.writeRepeatingByte(0, count: HandoffFormat.softwareBytes - text.count)
        var checksum = Checksum()
        header.withUnsafeReadableBytes { checksum.add($0) }
        header.writeInteger(checksum.value)
        self.emit(header)
    }

    /// Appends a record. One above 1 MiB would be refused by every reader; nobody may make one.
    package mutating func append(_ record: HandoffRecord) {
        assert(!self.isFinished && record.kind != .end, "the last record was written already, or is `finish`'s to write")
        assert(record.payload.readableBytes <= HandoffFormat.recordPayload, "a record above its bound")
        self.write(record)
        self.records += 1
    }

    package mutating func append(_ records: some Sequence<HandoffRecord>) {
        for record in records { self.append(record) }
    }

    /// Writes the last record. Nothing may be appended afterwards.
    package mutating func finish() {
        guard !self.isFinished else { return }
        self.write(HandoffRecord(.end, ByteBuffer(integer: self.records)))
        self.isFinished = true
    }

    /// What has been written since it was asked last, in order: write it to the file.
    package mutating func takeOutput() -> [ByteBuffer] {
        defer {
            self.output = []
            self.pendingBytes = 0
        }
        return self.output
    }

    private mutating func write(_ record: HandoffRecord) {
        let length = UInt64(record.payload.readableBytes)
        var checksum = Checksum(record: self.records, kind: record.kind, length: length)
        var header = ByteBufferAllocator().buffer(capacity: HandoffFormat.recordHeader)
        header.writeInteger(record.kind.rawValue)
        header.writeInteger(length)
        header.writeInteger(checksum.value)
        record.payload.withUnsafeReadableBytes { checksum.add($0) }
        self.emit(header)
        if length > 0 { self.emit(record.payload) }
        self.emit(ByteBuffer(integer: checksum.value))
    }

    private mutating func emit(_ bytes: ByteBuffer) {
        self.pendingBytes += bytes.readableBytes
        self.output.append(bytes)
    }
}

extension Checksum {
    /// The checksum of what stands in front of a payload, the record's number included.
    init(record: UInt64, kind: HandoffKind, length: UInt64) {
        self.init()
        self.add(record)
        self.add(kind.rawValue)
        self.add(length)
    }
}
