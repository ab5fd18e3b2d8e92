import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// What goes into a handoff comes out of it.
@Suite struct FrozenSessionCodecTests {
    @Test func richSession() throws {
        let frozen = FrozenSession.rich()
        #expect(frozen.fault == nil)
        for pieces in [1, 100, 65_536, 1 << 20] { #expect(try frozen.handedOver(pieces: pieces).normalised == frozen.normalised) }
    }

    @Test(arguments: [SessionSide.dialer, .acceptor])
    func emptySession(side: SessionSide) throws {
        let frozen = FrozenSession.empty(side)
        #expect(try frozen.handedOver() == frozen)
        #expect(FrozenSessionEncoder(frozen).map(\.kind) == [.session, .sessionEnd])
    }

    /// Every field by itself, so that none is taken for another.
    @Test func everyField() throws {
        let changes: [(inout FrozenSession) -> Void] = [
            { $0.received = 7 }, { $0.sent = 7 }, { $0.acknowledged = 7 }, { $0.nextStream = 7 }, { $0.highestPeerStream = 7 },
            { $0.isDraining = true }, { $0.isPeerDraining = true }, { $0.isWindowUnsaid = true }, { $0.resumes = 7 },
            { $0.replayedBytes = 7 }, { $0.announcedWindow = .zero }, { $0.announcedWindow = .nanoseconds(7) },
            { $0.ownWindow = .zero }, { $0.ownWindow = .seconds(3_600) }, { $0.replay = [Peer.fin(7)] },
            { $0.control = [Peer.fin(7)] }, { $0.received = .max }, { $0.replayedBytes = .max }, { $0.resumes = .max },
        ]
        for (place, change) in changes.enumerated() {
            var frozen = FrozenSession.empty()
            change(&frozen)
            #expect(frozen != .empty())
            #expect(try frozen.handedOver() == frozen, "change \(place)")
        }
    }

    @Test func everyFieldOfAStream() throws {
        let changes: [(inout FrozenSession.Stream) -> Void] = [
            { $0.phase = .opening }, { $0.phase = .accepted }, { $0.phase = .answering }, { $0.sendCredit = 7 },
            { $0.window = 7 }, { $0.remaining = 7 }, { $0.outstanding = 7 }, { $0.isLocalFinished = true },
            { $0.isFinSent = true }, { $0.isRemoteFinished = true }, { $0.queued = [ByteBuffer(string: "7")] },
            { $0.id = .max }, { $0.sendCredit = Int(UInt32.max) },
        ]
        for (place, change) in changes.enumerated() {
            var frozen = FrozenSession.empty()
            var stream = FrozenSession.Stream(id: 1, phase: .open)
            change(&stream)
            frozen.streams = [FrozenSession.Stream(id: 3, phase: .open), stream]
            #expect(try frozen.handedOver() == frozen, "change \(place)")
        }
    }

    @Test func incompleteFrames() throws {
        for frame in [
            IncompleteFrame(header: FrameHeader(stream: 1, type: .data, length: 65_536), missing: 65_536, gathered: ByteBuffer()),
            IncompleteFrame(header: FrameHeader(stream: 0, type: .peers, length: 65_536), missing: 1, gathered: .zeros(65_535)),
            IncompleteFrame(header: FrameHeader(stream: 9, type: .skipped, length: 10), missing: 4, gathered: ByteBuffer()),
        ] {
            var frozen = FrozenSession.empty()
            frozen.received = 1 << 20
            frozen.incomplete = frame
            #expect(try frozen.handedOver() == frozen)
            #expect(frozen.fault == nil)
        }
    }

    /// Bytes, frames and streams of which one record cannot hold all.
    @Test func manyRecords() throws {
        var frozen = FrozenSession.empty()
        var stream = FrozenSession.Stream(id: 1, phase: .open)
        for count in [1, 3 << 20, 262_144, 262_145, 2] {
            stream.queued.append(Pattern.bytes(stream: 1, sender: .dialer, offset: count, count: min(count, Pattern.longest)))
            stream.queued.append(ByteBuffer(repeating: UInt8(truncatingIfNeeded: count), count: count))
        }
        frozen.nextStream = 40_001
        frozen.streams = [stream] + (1..<20_000).map { FrozenSession.Stream(id: StreamID(2 * $0 + 1), phase: .open) }
        frozen.replay = (0..<40).map { Peer.data(1, 65_000 - $0) }
        frozen.sent = frozen.replay.reduce(0) { $0 + UInt64($1.readableBytes) }
        frozen.control = (0..<50_000).map { Peer.credit(1, UInt32($0)) }
        let records = Array(FrozenSessionEncoder(frozen))
        for kind in HandoffKind.ofSession.subtracting([.session, .sessionEnd]) {
            #expect(records.count { $0.kind == kind } > 1, "kind \(kind)")
        }
        #expect(records.allSatisfy { $0.payload.readableBytes <= HandoffFormat.recordPayload / 2 + 4_096 })
        #expect(try frozen.handedOver(pieces: 100_003).normalised == frozen.normalised)
    }

    @Test func sessionsOneBehindTheOther() throws {
        var writer = HandoffWriter(software: "test")
        let sessions = [FrozenSession.rich(), .empty(.acceptor), .rich(), .empty()]
        for session in sessions { writer.append(FrozenSessionEncoder(session)) }
        writer.finish()
        var file = ByteBuffer()
        for piece in writer.takeOutput() { file.writeImmutableBuffer(piece) }
        #expect(try FrozenSession.sessions(in: file).map(\.normalised) == sessions.map(\.normalised))
    }

    /// What cannot be written is written as the nearest that can, and no number traps.
    @Test func numbersBeyondTheFile() throws {
        var frozen = FrozenSession.empty()
        frozen.announcedWindow = .seconds(Int64.max)
        frozen.ownWindow = .seconds(-1)
        frozen.resumes = -1
        let read = try frozen.handedOver()
        #expect(read.announcedWindow == .nanoseconds(Int64.max / 2) && read.ownWindow == .zero && read.resumes == 0)
    }

    /// Two records share nothing with what was read from the file, so that a few bytes do not pin a piece of it.
    @Test func nothingIsPinned() throws {
        let read = try FrozenSession.rich().handedOver()
        for buffer in read.replay + read.control + read.streams.flatMap(\.queued) {
            #expect(buffer.storageCapacity <= 2 * (buffer.readableBytes + Limits.frameHeader) + 16)
        }
    }
}
