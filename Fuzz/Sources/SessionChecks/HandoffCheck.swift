import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// Reads a handoff that may be anything, goes on with the sessions that come out of it, and plays a script against each.
package enum HandoffCheck {
    /// The record that holds the script for the sessions behind it.
    package static let script = HandoffKind(rawValue: 0xFEFF)

    /// The kinds that a list of records can name, by number.
    package static let kinds: [HandoffKind] = [
        .session, .replay, .control, .streams, .queued, .sessionEnd, Self.script, HandoffKind(rawValue: 0xFEFE),
        HandoffKind(rawValue: 0x7EFE),
    ]

    /// The body of the fuzz target. The first byte says what the rest is:
    /// - even: a file, as it is read from a disk;
    /// - odd: records, each a number in ``kinds`` (u8), a length (u16) and a payload, which get checksums that are right.
    ///   Damage to those is what the sessions' own checks have to find.
    ///
    /// - Returns: what is broken, nil when everything was taken or refused as it should be.
    package static func run(_ input: [UInt8]) -> String? {
        var rest = ByteBuffer(bytes: input)
        let first = rest.readInteger(as: UInt8.self) ?? 0
        let pieces = [1 << 20, 1, 7, 100][Int(first >> 1 & 3)]
        return Self.read(first & 1 == 0 ? rest : Self.file(of: rest), pieces: pieces)
    }

    private static func file(of list: ByteBuffer) -> ByteBuffer {
        var list = list
        var writer = HandoffWriter(software: "fuzz")
        while let number = list.readInteger(as: UInt8.self), let length = list.readInteger(as: UInt16.self) {
            let payload = list.readSlice(length: min(Int(length), list.readableBytes)) ?? ByteBuffer()
            writer.append(HandoffRecord(Self.kinds[Int(number) % Self.kinds.count], payload))
        }
        writer.finish()
        var file = ByteBuffer()
        for piece in writer.takeOutput() { file.writeImmutableBuffer(piece) }
        return file
    }

    private static func read(_ file: ByteBuffer, pieces: Int) -> String? {
        var file = file
        var reader = HandoffReader(known: HandoffKind.ofSession.union([Self.script]))
        var decoder = FrozenSessionDecoder()
        var script = ByteBuffer()
        do throws(HandoffError) {
            while let piece = file.readSlice(length: min(pieces, file.readableBytes)), piece.readableBytes > 0 {
                reader.feed(piece)
                while let record = try reader.next() {
                    if record.kind == Self.script {
                        script = record.payload
                    } else if let broken = Self.take(record, &decoder, script) {
                        return broken
                    }
                }
                guard reader.heldBytes <= HandoffFormat.recordPayload + 64 else { return "\(reader.heldBytes) bytes are held" }
            }
            try reader.finish()
            return reader.software == nil ? "it is whole, and nobody wrote it" : nil
        } catch {
            return Self.isOneLine(error.description) ? nil : "a message that is not one printable line"
        }
    }

    private static func take(_ record: HandoffRecord, _ decoder: inout FrozenSessionDecoder, _ script: ByteBuffer) -> String? {
        do throws(ThawError) {
            guard let frozen = try decoder.take(record) else { return nil }
            var play = try HandoffPlay(frozen)
            return play.run(script)
        } catch {
            return Self.isOneLine(error.description) ? nil : "a message that is not one printable line"
        }
    }

    private static func isOneLine(_ text: String) -> Bool {
        (1...400).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }
}
