import Timing
import TunnelWire

@testable import TunnelSession

/// What an end's programs are told, judged by what the other end did.
extension SimulatedEnd {
    func handle(_ event: SessionEvent, peer: SimulatedEnd, now: Moment) throws {
        switch event {
        case .open(let id, let open):
            guard self.streams[id] == nil else { throw Broken("stream \(id) was asked for twice") }
            guard open == peer.streams[id]?.open else { throw Broken("OPEN of stream \(id) changed on its way") }
            self.addStream(id, open, phase: .answering, now: now)
        case .accepted(let id): try self.change(id, "ACCEPTED") { stream in stream.accepted() }
        case .opened(let id):
            let wasOpened = peer.streams[id]?.wasOpened == true
            try self.change(id, "OPENED") { stream in wasOpened && stream.opened() }
        case .refused(let id, let refusal):
            let isTrue = peer.streams[id].map { $0.refusal == refusal } ?? (refusal.code == .draining || refusal.code == .busy)
            try self.change(id, "REFUSED") { stream in isTrue && stream.refused(refusal) }
        case .data(let id, let bytes):
            let sent = peer.streams[id]?.sent ?? 0
            if let offset = self.streams[id]?.received,
                let place = Pattern.mismatch(bytes, stream: id, sender: peer.side, offset: offset)
            {
                throw Broken("stream \(id): wrong byte at \(place), in a piece of \(bytes.readableBytes) from \(offset) on")
            }
            try self.change(id, "data") { stream in stream.took(bytes.readableBytes, of: sent) }
        case .finished(let id):
            let sent = peer.streams[id].map { $0.isFinished ? $0.sent : -1 } ?? -1
            try self.change(id, "FIN") { stream in stream.finished(sent: sent) }
        case .reset(let id, let code):
            let isTrue = peer.streams[id]?.resetCode == code
            try self.change(id, "RESET") { stream in isTrue && stream.wasReset() }
            guard !self.session.isLive(id) else { throw Broken("stream \(id) lives on after RESET") }
        case .control(.register(let message)):
            guard message.version == self.expectedVersion else {
                throw Broken("message \(message.version) came instead of \(self.expectedVersion)")
            }
            self.expectedVersion += 1
        case .control(.goAway(let goAway)):
            guard self.session.isPeerDraining == !goAway.isCalledOff else { throw Broken("GOAWAY was not heeded") }
        case .control, .closed: throw Broken("an event that nobody caused: \(event)")
        }
    }

    private func change(_ id: StreamID, _ what: String, _ change: (SimulatedStream) -> Bool) throws {
        guard let stream = self.streams[id] else { throw Broken("\(what) on stream \(id), which nobody opened") }
        guard change(stream) else { throw Broken("\(what) does not fit: \(stream)") }
        if stream.isOver { self.live.removeAll { $0 === stream } }
    }
}

/// What may follow what. Each is false when the event does not fit.
extension SimulatedStream {
    fileprivate func accepted() -> Bool {
        guard self.phase == .opening else { return false }
        self.phase = .accepted
        return true
    }

    fileprivate func opened() -> Bool {
        guard self.phase == .accepted else { return false }
        self.phase = .open
        return true
    }

    fileprivate func refused(_ refusal: Refusal) -> Bool {
        guard self.phase == .opening || self.phase == .accepted else { return false }
        self.phase = .over
        self.refusal = refusal
        return true
    }

    fileprivate func took(_ count: Int, of sent: Int) -> Bool {
        guard self.phase == .open, !self.sawFinish, count > 0, self.received + count <= sent else { return false }
        self.received += count
        self.unconsumed += count
        return true
    }

    fileprivate func finished(sent: Int) -> Bool {
        guard self.phase == .open, !self.sawFinish, self.received == sent else { return false }
        self.sawFinish = true
        return true
    }

    fileprivate func wasReset() -> Bool {
        guard self.phase != .over else { return false }
        self.phase = .over
        return true
    }
}
