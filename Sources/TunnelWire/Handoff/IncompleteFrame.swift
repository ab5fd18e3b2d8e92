import NIOCore

/// The beginning of a sequenced frame whose rest had not arrived when a link broke: the next link goes on with it.
package struct IncompleteFrame: Equatable, Sendable {
    package var header: FrameHeader
    /// Bytes of the payload that are still to come, 1 or more.
    package var missing: Int
    /// The beginning of the payload; empty for DATA, which is passed on as it comes, and for a frame that is skipped.
    package var gathered: ByteBuffer

    package init(header: FrameHeader, missing: Int, gathered: ByteBuffer) {
        self.header = header
        self.missing = missing
        self.gathered = gathered
    }

    /// Bytes of the frame that have been counted as received, its header included.
    package var taken: Int { Limits.frameHeader + self.header.length - self.missing }

    /// Says what cannot be, nil when a decoder can go on with it.
    package var fault: String? {
        guard self.header.type.isSequenced else { return "an incomplete frame that is not sequenced" }
        do throws(WireError) { try self.header.check() } catch { return "an incomplete frame: \(error)" }
        guard (1...max(1, self.header.length)).contains(self.missing), self.header.length > 0 else {
            return "an incomplete frame of \(self.header.length) bytes that lacks \(self.missing)"
        }
        let isGathered = self.header.type != .data && self.header.type.isKnown
        guard self.gathered.readableBytes == (isGathered ? self.header.length - self.missing : 0) else {
            return "an incomplete frame that lacks \(self.missing) of \(self.header.length) bytes, with "
                + "\(self.gathered.readableBytes) bytes gathered"
        }
        return nil
    }
}

extension FrameType {
    /// Optional, sequenced, and never to be given a meaning. A frame of a type that is not known is frozen under this one:
    /// its beginning was skipped, so a newer program that knows the type must skip the rest as well.
    package static let skipped = FrameType(rawValue: 0xBF)
}
