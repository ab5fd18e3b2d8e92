import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// Each thing that cannot be, with its line of text.
@Suite struct FrozenSessionFaultTests {
    private func fault(_ change: (inout FrozenSession) -> Void) -> String? {
        var frozen = FrozenSession.rich()
        change(&frozen)
        return frozen.fault
    }

    /// The fault of the stream 2 of the rich session, without its name.
    private func streamFault(_ change: (inout FrozenSession.Stream) -> Void) -> String? {
        let fault = self.fault { frozen in
            for index in frozen.streams.indices where frozen.streams[index].id == 2 { change(&frozen.streams[index]) }
        }
        guard let fault else { return nil }
        return fault.hasPrefix("stream 2 ") ? String(fault.dropFirst("stream 2 ".count)) : "not of the stream: \(fault)"
    }

    @Test func noFault() {
        #expect(self.fault { _ in } == nil)
        #expect(FrozenSession.empty(.dialer).fault == nil && FrozenSession.empty(.acceptor).fault == nil)
    }

    @Test func counts() {
        let most: UInt64 = 1 << 62
        #expect(self.fault { $0.received = most } == nil)
        #expect(self.fault { $0.received = most + 1 } == "a count of 4611686018427387905 cannot be")
        #expect(self.fault { $0.sent = .max } == "a count of 18446744073709551615 cannot be")
        #expect(self.fault { $0.acknowledged = .max } == "a count of 18446744073709551615 cannot be")
        #expect(self.fault { $0.replayedBytes = most + 1 } == "a count of 4611686018427387905 cannot be")
        #expect(self.fault { $0.resumes = .max } == "a count of 9223372036854775807 cannot be")
        #expect(self.fault { $0.resumes = -1 } == "it was resumed -1 times")
        #expect(self.fault { $0.received = 2_508 } == nil)
        #expect(
            self.fault { $0.received = 2_507 } == "2508 bytes of an incomplete frame, but only 2507 bytes received")
    }

    @Test func windows() {
        #expect(self.fault { $0.announcedWindow = .milliseconds(Int64(UInt32.max)) } == nil)
        #expect(
            self.fault { $0.announcedWindow = .milliseconds(Int64(UInt32.max) + 1) } == "a resume window of 4294967.296 seconds")
        #expect(self.fault { $0.ownWindow = .milliseconds(Int64(UInt32.max) + 1) } == "a resume window of 4294967.296 seconds")
        #expect(self.fault { $0.ownWindow = .seconds(-1) } == "a resume window of -1.0 seconds")
    }

    @Test func incompleteFrame() {
        #expect(
            self.fault { $0.incomplete?.missing = 0 } == "an incomplete frame of 4000 bytes that lacks 0")
        #expect(self.fault { $0.incomplete?.header.type = .ping } == "an incomplete frame that is not sequenced")
    }

    // MARK: Frames

    @Test func replay() {
        #expect(self.fault { $0.replay[1] = .zeros(7) } == "unacknowledged frame 1 is shorter than a header")
        #expect(
            self.fault { $0.replay[0].writeInteger(UInt8(0)) }
                == "unacknowledged frame 0 is 309 bytes long, but says 300 and a header")
        #expect(self.fault { $0.replay[2] = LinkFrames.ping(1) } == "unacknowledged frame 2 is not sequenced")
        #expect(
            self.fault { $0.replay[3] = Peer.data(0, 1) }
                == "unacknowledged frame 3 is wrong: unexpected: frame type 5 on stream 0")
        #expect(self.fault { $0.acknowledged = 50_001 } == "50001 bytes are acknowledged of 50000")
        // The first frame is acknowledged in part: its first byte may be, its last one not.
        #expect(self.fault { $0.acknowledged = 50_000 - 337 } == nil)
        #expect(self.fault { $0.acknowledged = 50_000 - 338 } == "337 bytes of frames are kept, but 338 are not acknowledged")
        #expect(self.fault { $0.acknowledged = 50_000 - 30 } == nil)
        #expect(self.fault { $0.acknowledged = 50_000 - 29 } == "337 bytes of frames are kept, but 29 are not acknowledged")
        #expect(self.fault { $0.replay = [] } == "0 bytes of frames are kept, but 237 are not acknowledged")
        #expect(
            self.fault {
                $0.sent = 100
                $0.acknowledged = 0
                $0.replay = [Peer.data(5, 192)]
            } == "200 bytes of frames are kept, but 100 are not acknowledged")
    }

    @Test func control() {
        #expect(self.fault { $0.control[1] = .zeros(3) } == "queued frame 1 is shorter than a header")
        #expect(self.fault { $0.control[1] = LinkFrames.ack(3) } == "queued frame 1 is not sequenced")
        #expect(self.fault { $0.control[2] = Peer.data(2, 1) } == "queued frame 2 is DATA")
        #expect(
            self.fault { $0.control.append(Peer.open(9)) } == "queued frame 4 opens stream 9, which is not waiting for it")
        #expect(self.fault { $0.control[3] = Peer.open(1) } == "queued frame 3 opens stream 1, which is not waiting for it")
        #expect(self.fault { $0.control[3] = Peer.open(13) } == "queued frame 3 opens stream 13, which is not waiting for it")
    }

    // MARK: Streams

    @Test func ids() {
        #expect(self.fault { $0.nextStream = 12 } == "the next stream to open would be 12")
        #expect(self.fault { $0.highestPeerStream = 7 } == "the other end opened stream 7")
        #expect(self.fault { $0.highestPeerStream = 0 } == "stream 2 of the other end, which has opened none")
        #expect(self.fault { $0.streams.append($0.streams[0]) } == "stream 1 is there twice")
        #expect(self.fault { $0.streams.append(FrozenSession.Stream(id: 0, phase: .open)) } == "a stream has the id 0")
        #expect(self.fault { $0.side = .acceptor } == "the next stream to open would be 11")
        var acceptor = FrozenSession.empty(.acceptor)
        acceptor.highestPeerStream = 4
        #expect(acceptor.fault == "the other end opened stream 4")
        #expect(
            self.fault { $0.streams = (0...1 << 20).map { FrozenSession.Stream(id: 2 * $0 + 1, phase: .open) } }
                == "1048577 streams")
    }

    @Test func phases() {
        for (id, phase) in [(2, .opening), (2, .accepted), (13, .answering)] as [(StreamID, FrozenSession.Phase)] {
            #expect(
                self.fault {
                    $0.streams.removeAll { $0.id == id }
                    $0.streams.append(FrozenSession.Stream(id: id, phase: phase))
                } == "stream \(id) cannot be \(phase) at this end")
        }
        for phase in [FrozenSession.Phase.accepted, .opening] {
            for change in [{ $0.isRemoteFinished = true }, { $0.remaining -= 1 }, { $0.outstanding = 1 }]
                as [(inout FrozenSession.Stream) -> Void]
            {
                var stream = FrozenSession.Stream(id: 13, phase: phase)
                change(&stream)
                if stream.outstanding > 0 { stream.remaining -= 1 }
                #expect(
                    self.fault { $0.streams.append(stream) } == "stream 13 has received something before it was open")
            }
        }
    }

    @Test func credit() {
        let most = Int(Int32.max)
        #expect(self.streamFault { $0.sendCredit = most } == nil)
        #expect(self.streamFault { $0.sendCredit = most + 1 } == "has a credit of 2147483648")
        #expect(self.streamFault { $0.sendCredit = -1 } == "has a credit of -1")
        #expect(self.streamFault { $0.window = 65_535 } == "has a window of 65535 bytes")
        #expect(self.streamFault { $0.window = most + 1 } == "has a window of 2147483648 bytes")
        #expect(self.streamFault { $0.window = 131_000 } == nil)
        #expect(self.streamFault { $0.window = 130_999 } == "has 100000 and 31000 bytes in a window of 130999")
        #expect(self.streamFault { $0.remaining = -1 } == "has -1 and 31000 bytes in a window of 131072")
        #expect(self.streamFault { $0.outstanding = -1 } == "has 100000 and -1 bytes in a window of 131072")
        #expect(self.streamFault { $0.outstanding = .max } == "has 100000 and 9223372036854775807 bytes in a window of 131072")
    }

    @Test func ends() {
        #expect(self.streamFault { $0.isFinSent = true } == "was finished too early")
        #expect(
            self.streamFault {
                $0.isFinSent = true
                $0.isLocalFinished = false
                $0.queued = []
            } == "was finished too early")
        #expect(
            self.fault { frozen in
                for index in frozen.streams.indices where frozen.streams[index].id == 1 {
                    frozen.streams[index].isLocalFinished = true
                    frozen.streams[index].isFinSent = true
                }
            } == "stream 1 was finished too early")
        #expect(
            self.streamFault {
                $0.isFinSent = true
                $0.isRemoteFinished = true
                $0.queued = []
                $0.outstanding = 0
            } == "is over")
    }

    /// What a thaw says is one printable line that tells what becomes of the streams.
    @Test func thawSaysIt() {
        var frozen = FrozenSession.rich()
        frozen.resumes = -1
        #expect(throws: ThawError("it was resumed -1 times")) {
            try Session(thawing: frozen, configuration: SessionConfiguration(), now: .start)
        }
        #expect(
            ThawError("it was resumed -1 times\n").description
                == "a frozen session cannot go on, its streams are reset: it was resumed -1 times?")
    }
}
