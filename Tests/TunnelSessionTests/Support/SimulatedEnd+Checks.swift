import NIOCore
import TunnelWire

@testable import TunnelSession

/// What must hold at every moment, and what must be left at the end.
extension SimulatedEnd {
    func checkInvariants() throws {
        var outstanding = 0
        var growth = 0
        var queued = 0
        for (id, stream) in self.session.streams {
            let window = stream.incoming
            guard window.outstanding + window.remaining <= window.window, window.remaining >= 0, stream.sendCredit >= 0 else {
                throw Broken("stream \(id): window \(window), credit \(stream.sendCredit)")
            }
            guard window.window <= max(self.session.configuration.maximumStreamWindow, Limits.initialCredit) else {
                throw Broken("stream \(id) has a window of \(window.window)")
            }
            outstanding += window.outstanding
            growth += window.growth
            queued += stream.outbound.footprint
        }
        guard outstanding == self.session.outstanding, growth == self.session.windowGrowth, queued == self.session.queuedFootprint
        else {
            throw Broken(
                "it counts \(self.session.outstanding), \(self.session.windowGrowth), \(self.session.queuedFootprint) bytes")
        }
        guard growth <= self.session.configuration.windowGrowth else { throw Broken("windows grew by \(growth)") }
        guard self.session.heldBytes >= self.session.replayBytes, self.session.replay.acknowledged <= self.session.sent else {
            throw Broken("counts that cannot be")
        }
    }

    /// What a stream may still send here is never more than what the other end is ready to receive.
    func checkCredit(against peer: SimulatedEnd) throws {
        for stream in self.live where stream.phase == .open {
            guard let here = self.session.streams[stream.id], let there = peer.session.streams[stream.id],
                let received = peer.streams[stream.id]?.received
            else { continue }
            let most = here.sendCredit + stream.sent - here.outbound.bytes
            guard most <= there.incoming.remaining + received else {
                throw Broken(
                    "stream \(stream.id) may send up to \(most), but only \(there.incoming.remaining + received) was granted")
            }
        }
    }

    /// Judges a frame that is about to go onto the link.
    func check(_ frame: ByteBuffer, isNew: Bool) throws {
        guard isNew, let packed = frame.getInteger(at: frame.readerIndex, as: UInt64.self) else { return }
        let header = FrameHeader(packed: packed)
        guard header.length == frame.readableBytes - Limits.frameHeader else { throw Broken("\(header) on \(frame)") }
        guard header.type == .data else { return }
        let before = self.session.replayBytes - frame.storageCapacity
        guard before < self.session.configuration.replayBuffer else { throw Broken("a frame more than the replay buffer holds") }
        guard header.length * 4 + 64 >= frame.storageCapacity else {
            throw Broken("a frame of \(header.length) bytes pins \(frame.storageCapacity)")
        }
    }

    func checkNothingIsLeft() throws {
        let session = self.session
        guard session.streamCount == 0, session.heldBytes == 0, session.windowGrowth == 0, session.controlQueued == 0 else {
            throw Broken(
                "\(self.side) leaks \(session.streamCount) streams, \(session.heldBytes) bytes, \(session.windowGrowth) growth")
        }
    }

    /// Every stream was answered, and came to the same end on both sides.
    func checkStreams(against peer: SimulatedEnd) throws {
        for (id, stream) in self.streams {
            let wasCut = stream.resetCode != nil || peer.streams[id]?.resetCode != nil
            guard stream.isOver else { throw Broken("stream \(id) was left behind") }
            if wasCut || stream.refusal != nil { continue }
            guard stream.phase == .open, stream.sent == stream.toSend, stream.received == peer.streams[id]?.sent else {
                throw Broken("stream \(id) ended early: \(stream)")
            }
        }
    }
}
