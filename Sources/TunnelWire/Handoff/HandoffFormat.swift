import NIOCore

/// What a process leaves to the one that takes its place: a header, records, and a last record that counts them.
///
/// ```
/// header   magic (8) · format u16 · length of the software version u8 · that version, zeros behind it (49) · checksum u32
/// record   kind u16 · length u64 · checksum u32 · payload (length) · checksum u32
/// last     a record of kind 0 whose payload is the number of records before it, u64; nothing follows
/// ```
/// All integers are big-endian, lengths are in bytes, checksums are CRC-32C. The header has the same shape in every format
/// for ever, so that a file of a newer format can be told from a damaged one and its writer can be named. A record's first
/// checksum covers its number (u64, from 0), kind and length, the second one all that and the payload: a record that was
/// changed, moved, doubled or left out is noticed before it is believed.
package enum HandoffFormat {
    /// The format that is written, and the newest that is read.
    package static let newest: UInt16 = 1
    /// The oldest format that is still read.
    package static let oldest: UInt16 = 1
    /// The formats that are read, as programs tell each other: `1-1`.
    package static var range: String { "\(Self.oldest)-\(Self.newest)" }
    /// The largest payload of one record, in bytes. What is larger is cut into several.
    package static let recordPayload = 1 << 20

    static let magic: UInt64 = 0x6774_5F68_616E_646F  // "gt_hando"
    static let headerBytes = 64
    static let softwareBytes = 49
    /// Kind, length and checksum in front of a payload.
    static let recordHeader = 14
    /// The checksum behind a payload.
    static let recordTrailer = 4
}

/// What a record holds. The upper byte says whose it is.
///
/// The bit `0x8000` makes a kind *optional*: a program that does not know it skips the record; without the bit, it refuses
/// the whole file.
package struct HandoffKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package var isOptional: Bool { self.rawValue & 0x8000 != 0 }

    package var description: String { String(self.rawValue, radix: 16) }

    /// The last record of a file.
    static let end = HandoffKind(rawValue: 0)

    // 0x01..: one session, in this order; 0x02.. are the transport's, 0x03.. a server's, 0x04.. a client's.
    /// Begins a session: its counts and flags.
    package static let session = HandoffKind(rawValue: 0x0101)
    /// Frames that were sent and not acknowledged.
    package static let replay = HandoffKind(rawValue: 0x0102)
    /// Control frames that were not sent.
    package static let control = HandoffKind(rawValue: 0x0103)
    /// Streams.
    package static let streams = HandoffKind(rawValue: 0x0104)
    /// Bytes of streams that were not sent.
    package static let queued = HandoffKind(rawValue: 0x0105)
    /// Ends a session: how much of everything there was.
    package static let sessionEnd = HandoffKind(rawValue: 0x0106)

    /// All kinds that a session is made of.
    package static let ofSession: Set<HandoffKind> = [.session, .replay, .control, .streams, .queued, .sessionEnd]
}

/// One record of a handoff.
package struct HandoffRecord: Equatable, Sendable {
    package var kind: HandoffKind
    /// At most 1 MiB.
    package var payload: ByteBuffer

    package init(_ kind: HandoffKind, _ payload: ByteBuffer) {
        self.kind = kind
        self.payload = payload
    }
}

/// Why a handoff cannot be taken over. Offsets are in bytes from its beginning.
package enum HandoffError: Error, Equatable, Sendable, CustomStringConvertible {
    /// It begins like something else.
    case notAHandoff
    /// It is whole, but of a format that this program does not read.
    case otherFormat(UInt16, software: String)
    /// Bytes were changed: a checksum is wrong.
    case damaged(at: UInt64)
    /// It ends before its last record does.
    case truncated(at: UInt64)
    /// A record that this program may not skip and does not know.
    case unknownRecord(HandoffKind, at: UInt64, software: String)
    /// A record above 1 MiB.
    case tooLong(HandoffKind, bytes: UInt64, at: UInt64)
    /// The last record counts other records than there were.
    case wrongCount(UInt64, records: UInt64)
    /// Something follows the last record.
    case bytesBehindTheEnd(at: UInt64)

    package var description: String {
        switch self {
        case .notAHandoff: "this is not a handoff of gotunnel: it does not begin like one"
        case .otherFormat(let format, let software):
            "the handoff has format \(format), written by version \(software); this program reads formats "
                + "\(HandoffFormat.oldest) to \(HandoffFormat.newest): start that version or a newer one"
        case .damaged(let offset): "the handoff is damaged: the checksum of what lies before byte \(offset) is wrong"
        case .truncated(let offset): "the handoff is cut off after \(offset) bytes: its writer was stopped, or its file was full"
        case .unknownRecord(let kind, let offset, let software):
            "the handoff, written by version \(software), has a record of kind 0x\(kind) at byte \(offset), which this program "
                + "does not know and may not skip: start that version or a newer one"
        case .tooLong(let kind, let bytes, let offset):
            "the handoff has a record of kind 0x\(kind) with \(bytes) bytes at byte \(offset), "
                + "more than \(HandoffFormat.recordPayload)"
        case .wrongCount(let count, let records): "the handoff says that it has \(count) records, but it has \(records)"
        case .bytesBehindTheEnd(let offset): "the handoff goes on behind its end at byte \(offset)"
        }
    }
}
