import NIOCore

/// Reads a handoff from pieces of any size. It makes no system calls: `feed` it what was read, ask `next` until that returns
/// nil, and say `finish` when the file is at its end. It never holds more than one piece and one record.
package struct HandoffReader: Sendable {
    /// Who wrote it, nil until the header has been read. Printable ASCII of at most 49 bytes.
    package private(set) var software: String?
    /// Whether the last record has been read: everything is there.
    package private(set) var isComplete = false
    /// Records read so far, skipped ones too.
    package private(set) var records: UInt64 = 0
    /// Bytes of the file that have been read.
    package private(set) var offset: UInt64 = 0

    private let known: Set<HandoffKind>
    private var input = ByteBuffer()
    private var current: Current?

    /// The record whose payload is being read.
    private struct Current {
        var kind: HandoffKind
        var start: UInt64
        var missing: Int
        var checksum: Checksum
        var payload = ByteBuffer()

        /// A payload that came in one piece stays where it is; what it is made into copies what lasts.
        mutating func keep(_ bytes: ByteBuffer) {
            if self.payload.readableBytes == 0, self.missing == 0 {
                self.payload = bytes
            } else {
                if self.payload.capacity == 0 { self.payload.reserveCapacity(bytes.readableBytes + self.missing) }
                self.payload.writeImmutableBuffer(bytes)
            }
        }
    }

    /// - Parameter known: the kinds of records that the caller understands.
    package init(known: Set<HandoffKind>) { self.known = known }

    /// Bytes that are held: of a record that is not whole, and not read yet.
    package var heldBytes: Int { self.input.readableBytes + (self.current?.payload.readableBytes ?? 0) }

    /// Hands over the next bytes of the file. `next` must have returned nil before.
    package mutating func feed(_ bytes: ByteBuffer) {
        if self.input.readableBytes == 0 {
            self.input = bytes
        } else {
            var rest = self.input.copied()
            rest.writeImmutableBuffer(bytes)
            self.input = rest
        }
    }

    /// The next record that the caller knows, nil when more bytes are needed or the last one has been read.
    package mutating func next() throws(HandoffError) -> HandoffRecord? {
        if self.software == nil { try self.readHeader() }
        guard self.software != nil else { return nil }
        while !self.isComplete {
            if self.current == nil { try self.readRecordHeader() }
            guard let record = try self.readPayload() else { return nil }
            if record.kind == .end {
                try self.end(record.payload)
            } else {
                self.records += 1
                if self.known.contains(record.kind) { return record }
            }
        }
        guard self.input.readableBytes == 0 else { throw .bytesBehindTheEnd(at: self.offset) }
        return nil
    }

    /// The file is at its end. It must be called: a file that was cut off between two records looks right up to there.
    package func finish() throws(HandoffError) {
        guard self.isComplete else { throw .truncated(at: self.offset + UInt64(self.input.readableBytes)) }
        guard self.input.readableBytes == 0 else { throw .bytesBehindTheEnd(at: self.offset) }
    }

    private mutating func readHeader() throws(HandoffError) {
        guard let magic = self.input.getInteger(at: self.input.readerIndex, as: UInt64.self) else { return }
        guard magic == HandoffFormat.magic else { throw .notAHandoff }
        guard var header = self.input.readSlice(length: HandoffFormat.headerBytes) else { return }
        self.offset += UInt64(HandoffFormat.headerBytes)
        var checksum = Checksum()
        header.withUnsafeReadableBytes { checksum.add(UnsafeRawBufferPointer(rebasing: $0.dropLast(4))) }
        header.moveReaderIndex(forwardBy: 8)
        guard let format = header.readInteger(as: UInt16.self), let length = header.readInteger(as: UInt8.self),
            let text = header.readBytes(length: HandoffFormat.softwareBytes),
            header.readInteger(as: UInt32.self) == checksum.value, length <= HandoffFormat.softwareBytes
        else { throw .damaged(at: self.offset) }
        let software = PrintableText.clean(text.prefix(Int(length)))
        guard (HandoffFormat.oldest...HandoffFormat.newest).contains(format) else {
            throw .otherFormat(format, software: software)
        }
        self.software = software
    }

    private mutating func readRecordHeader() throws(HandoffError) {
        let start = self.offset
        guard self.input.readableBytes >= HandoffFormat.recordHeader, let raw = self.input.readInteger(as: UInt16.self),
            let length = self.input.readInteger(as: UInt64.self), let expected = self.input.readInteger(as: UInt32.self)
        else { return }
        self.offset += UInt64(HandoffFormat.recordHeader)
        let kind = HandoffKind(rawValue: raw)
        let checksum = Checksum(record: self.records, kind: kind, length: length)
        guard checksum.value == expected else { throw .damaged(at: self.offset) }
        guard kind == .end || kind.isOptional || self.known.contains(kind) else {
            throw .unknownRecord(kind, at: start, software: self.software ?? "")
        }
        guard length <= HandoffFormat.recordPayload else { throw .tooLong(kind, bytes: length, at: start) }
        self.current = Current(kind: kind, start: start, missing: Int(length), checksum: checksum)
    }

    /// The record, once its payload and checksum are there. The payload of one that nobody knows is not kept.
    private mutating func readPayload() throws(HandoffError) -> HandoffRecord? {
        guard var current = self.current else { return nil }
        self.current = nil
        let count = min(current.missing, self.input.readableBytes)
        if count > 0, let bytes = self.input.readSlice(length: count) {
            bytes.withUnsafeReadableBytes { current.checksum.add($0) }
            current.missing -= count
            self.offset += UInt64(count)
            if current.kind == .end || self.known.contains(current.kind) { current.keep(bytes) }
        }
        guard current.missing == 0, let expected = self.input.readInteger(as: UInt32.self) else {
            self.current = current
            return nil
        }
        self.offset += UInt64(HandoffFormat.recordTrailer)
        guard current.checksum.value == expected else { throw .damaged(at: self.offset) }
        return HandoffRecord(current.kind, current.payload)
    }

    private mutating func end(_ payload: ByteBuffer) throws(HandoffError) {
        let count = payload.getInteger(at: payload.readerIndex, as: UInt64.self) ?? 0
        guard count == self.records, payload.readableBytes == 8 else { throw .wrongCount(count, records: self.records) }
        self.isComplete = true
    }
}
