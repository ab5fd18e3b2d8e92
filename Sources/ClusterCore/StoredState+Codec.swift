import NIOCore
import TunnelWire

extension StoredState {
    /// The record as bytes; what guards it against damage is added by whoever writes it.
    package func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(self.generation)
        buffer.writeInteger(self.term)
        buffer.writeInteger(UInt8(self.votedFor == nil ? 0 : 1))
        self.votedFor?.write(into: &buffer)
        self.ballot.write(into: &buffer)
        self.settled.write(into: &buffer)
        self.state.write(into: &buffer)
        return buffer
    }

    package init(decoding buffer: ByteBuffer) throws(WireError) {
        var buffer = buffer
        self.init(
            generation: try buffer.readWire(UInt64.self, "generation"), term: try buffer.readWire(UInt64.self, "term"))
        let hasVote = try buffer.readWire(UInt8.self, "vote flag") != 0
        self.votedFor = hasVote ? try Voter(reading: &buffer) : nil
        self.ballot = try Ballot(reading: &buffer)
        self.settled = try Ballot(reading: &buffer)
        self.state = try AssignmentState(reading: &buffer)
        guard buffer.readableBytes == 0 else { throw WireError(.malformed, "\(buffer.readableBytes) bytes too many") }
        guard self.ballot.term <= self.term, self.settled <= self.ballot else {
            throw WireError(.malformed, "a ballot of a term that has not begun")
        }
    }
}
