import NIOCore
import Timing
import TunnelWire

@testable import TunnelSession

extension FrozenSession {
    /// A session of nothing.
    static func empty(_ side: SessionSide = .dialer) -> FrozenSession {
        FrozenSession(
            side: side, received: 0, incomplete: nil, sent: 0, acknowledged: 0, replay: [], control: [],
            nextStream: side == .dialer ? 1 : 2, highestPeerStream: 0, isDraining: false, isPeerDraining: false,
            announcedWindow: nil, ownWindow: nil, isWindowUnsaid: false, resumes: 0, replayedBytes: 0, streams: [])
    }

    /// A dialer's session with a little of everything.
    static func rich() -> FrozenSession {
        var frozen = Self.empty()
        frozen.received = 100_000
        frozen.incomplete = IncompleteFrame(
            header: FrameHeader(stream: 2, type: .data, length: 4_000), missing: 1_500, gathered: ByteBuffer())
        frozen.replay = [Peer.data(5, 300), Peer.credit(5, 70_000), Peer.fin(7), Peer.data(5, 1)]
        frozen.sent = 50_000
        frozen.acknowledged = 50_000 - (308 + 12 + 8 + 9) + 100  // inside the first frame
        frozen.control = [
            Peer.open(9), StreamFrames.empty(.opened, stream: 2), Register(version: 3, exposures: []).frame(), Peer.reset(3),
        ]
        frozen.nextStream = 11
        frozen.highestPeerStream = 6
        frozen.isDraining = true
        frozen.isPeerDraining = true
        frozen.announcedWindow = .seconds(5)
        frozen.ownWindow = .milliseconds(30_250)
        frozen.isWindowUnsaid = true
        frozen.resumes = 3
        frozen.replayedBytes = 1 << 40
        frozen.streams = [
            Self.openStream(2), Stream(id: 5, phase: .open), Self.finishedStream(7), Stream(id: 6, phase: .answering),
            Self.openingStream(9), Stream(id: 1, phase: .accepted),
        ].sorted { $0.id < $1.id }
        return frozen
    }

    private static func openStream(_ id: StreamID) -> Stream {
        var stream = Stream(id: id, phase: .open)
        stream.queued = [ByteBuffer(string: "first"), ByteBuffer(repeating: 8, count: 70_000)]
        stream.sendCredit = 0
        stream.window = 131_072
        stream.remaining = 100_000
        stream.outstanding = 31_000
        stream.isLocalFinished = true
        return stream
    }

    private static func finishedStream(_ id: StreamID) -> Stream {
        var stream = Stream(id: id, phase: .open)
        stream.isLocalFinished = true
        stream.isFinSent = true
        stream.isRemoteFinished = true
        stream.remaining = 65_000
        stream.outstanding = 536
        return stream
    }

    private static func openingStream(_ id: StreamID) -> Stream {
        var stream = Stream(id: id, phase: .opening)
        stream.queued = [ByteBuffer(string: "too early to send")]
        stream.isLocalFinished = true
        return stream
    }

    /// The same with the queued bytes of each stream in one buffer: a file cuts them where it likes.
    var normalised: FrozenSession {
        var copy = self
        for index in copy.streams.indices {
            var bytes = ByteBuffer()
            for piece in copy.streams[index].queued { bytes.writeImmutableBuffer(piece) }
            copy.streams[index].queued = bytes.readableBytes > 0 ? [bytes] : []
        }
        return copy
    }

    /// The bytes of a handoff that holds only this session.
    func file() -> ByteBuffer {
        var writer = HandoffWriter(software: "test")
        var file = ByteBuffer()
        for record in FrozenSessionEncoder(self) {
            writer.append(record)
            for piece in writer.takeOutput() { file.writeImmutableBuffer(piece) }
        }
        writer.finish()
        for piece in writer.takeOutput() { file.writeImmutableBuffer(piece) }
        return file
    }

    /// What another process reads, in pieces of so many bytes.
    func handedOver(pieces: Int = 1 << 20) throws -> FrozenSession {
        guard let read = try FrozenSession.sessions(in: self.file(), pieces: pieces).first else {
            throw Broken("no session came out of the file")
        }
        return read
    }

    /// All sessions in a handoff.
    static func sessions(in file: ByteBuffer, pieces: Int = 1 << 20) throws -> [FrozenSession] {
        var file = file
        var reader = HandoffReader(known: HandoffKind.ofSession)
        var decoder = FrozenSessionDecoder()
        var sessions: [FrozenSession] = []
        while let piece = file.readSlice(length: min(pieces, file.readableBytes)), piece.readableBytes > 0 {
            reader.feed(piece)
            while let record = try reader.next() {
                if let session = try decoder.take(record) { sessions.append(session) }
            }
        }
        try reader.finish()
        guard !decoder.isPending else { throw Broken("the last session is not whole") }
        return sessions
    }
}

extension Session {
    /// The same session in another process.
    func movedOver(now: Moment = .start) throws -> Session {
        try Session(thawing: self.freeze().handedOver(), configuration: self.configuration, now: now)
    }
}
