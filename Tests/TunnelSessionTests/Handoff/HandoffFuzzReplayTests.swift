import Foundation
import NIOCore
import Testing
import TunnelWire

@testable import TunnelSession

/// Runs the inputs that the fuzz target starts from, every input that ever broke it, and changed ones, through its check.
///
/// The seeds are handoffs of format 1 as they were written when it was new: they must be read for as long as that format is.
/// `GOTUNNEL_WRITE_SEEDS=1` writes those that are missing.
@Suite struct HandoffFuzzReplayTests {
    @Test func seedsAndOldCrashes() throws {
        let seeds = try Self.inputs("corpus")
        #expect(seeds.count >= 5, "the seeds lie in Fuzz/corpus/HandoffFuzz")
        for file in try seeds + Self.inputs("crashes") {
            #expect(HandoffCheck.run(Array(try Data(contentsOf: file))) == nil, "\(file.lastPathComponent)")
        }
    }

    @Test func seedsAreStillRead() throws {
        for (name, sessions) in Self.sessions {
            let seed = Self.folder("corpus").appendingPathComponent(name)
            if !FileManager.default.fileExists(atPath: seed.path),
                ProcessInfo.processInfo.environment["GOTUNNEL_WRITE_SEEDS"] != nil
            {
                try Self.write(sessions, to: seed)
            }
            let file = ByteBuffer(bytes: try Data(contentsOf: seed).dropFirst())
            #expect(try Self.readSeed(file).map(\.normalised) == sessions.map(\.normalised), "\(name)")
            for session in sessions { #expect(session.fault == nil, "\(name)") }
        }
    }

    /// Seeds with a few bytes changed, most of them behind checksums that are right.
    @Test func changedSeeds() throws {
        var random = SplitMix64(seed: 1)
        let seeds = try Self.inputs("corpus").map { Array(try Data(contentsOf: $0)) }
        for round in 0..<3_000 {
            var input = random.pick(seeds)
            for _ in 0..<random.int(1...4) {
                let place = random.int(0...input.count - 1)
                if random.chance(80) {
                    input[place] = random.chance(50) ? input[place] ^ 1 << UInt8(random.int(0...7)) : UInt8(random.int(0...255))
                } else {
                    input.removeSubrange(place..<min(input.count, place + random.int(1...9)))
                    if input.isEmpty { input = [1] }
                }
            }
            #expect(HandoffCheck.run(input) == nil, "round \(round)")
        }
    }

    // MARK: Seeds

    private static let sessions: [(String, [FrozenSession])] = [
        ("file-empty", [.empty()]), ("file-rich", [.small()]), ("records-dialer", [.small()]),
        ("records-acceptor", [.smallAcceptor()]), ("records-two", [.smallAcceptor(), .empty()]), ("records-none", []),
    ]

    /// Attaches, reads and writes, lets time pass, freezes again, opens, resets.
    private static let script: [UInt8] = [
        0, 0, 6, 20, 0x54, 5, 4, 0, 0, 0, 9, 12, 30, 11, 0, 13, 0, 1, 1, 6, 9, 7, 0, 8, 6, 0x18, 1, 9, 2, 15, 6, 6, 9, 10, 1, 2,
        0,
        14, 3, 3, 9, 0, 0, 0, 5, 7, 0, 0, 0, 0, 1, 0, 6, 99, 13, 0,
    ]

    private static func write(_ sessions: [FrozenSession], to seed: URL) throws {
        var records = [HandoffRecord(HandoffCheck.script, ByteBuffer(bytes: Self.script))]
        for session in sessions { records += Array(FrozenSessionEncoder(session)) }
        var bytes = ByteBuffer()
        if seed.lastPathComponent.hasPrefix("file") {
            var writer = HandoffWriter(software: "0.9.0")
            writer.append(records)
            writer.finish()
            bytes.writeInteger(UInt8(0))
            for piece in writer.takeOutput() { bytes.writeImmutableBuffer(piece) }
        } else {
            bytes.writeInteger(UInt8(1))
            for record in records {
                bytes.writeInteger(UInt8(HandoffCheck.kinds.firstIndex(of: record.kind) ?? 0))
                bytes.writeInteger(UInt16(record.payload.readableBytes))
                bytes.writeImmutableBuffer(record.payload)
            }
        }
        try Data(bytes.readableBytesView).write(to: seed)
    }

    private static func readSeed(_ seed: ByteBuffer) throws -> [FrozenSession] {
        if seed.getString(at: seed.readerIndex, length: 8) == "gt_hando" { return try FrozenSession.sessions(in: seed) }
        var list = seed
        var decoder = FrozenSessionDecoder()
        var sessions: [FrozenSession] = []
        while let number = list.readInteger(as: UInt8.self), let length = list.readInteger(as: UInt16.self) {
            let payload = list.readSlice(length: Int(length)) ?? ByteBuffer()
            let kind = HandoffCheck.kinds[Int(number)]
            guard kind != HandoffCheck.script else { continue }
            if let session = try decoder.take(HandoffRecord(kind, payload)) { sessions.append(session) }
        }
        return sessions
    }

    private static func folder(_ name: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../Fuzz").standardized
            .appendingPathComponent(name).appendingPathComponent("HandoffFuzz")
    }

    /// The files of one folder in a stable order; none when the folder does not exist.
    private static func inputs(_ name: String) throws -> [URL] {
        let directory = Self.folder(name)
        guard FileManager.default.fileExists(atPath: directory.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
    }
}

extension FrozenSession {
    /// The rich session with short queues, for inputs that are tried many times.
    fileprivate static func small() -> FrozenSession {
        var frozen = Self.rich()
        for index in frozen.streams.indices { frozen.streams[index].queued.removeAll { $0.readableBytes > 99 } }
        return frozen
    }

    private static func answeredStream(_ id: StreamID) -> Stream {
        var stream = Stream(id: id, phase: .open)
        stream.queued = [ByteBuffer(string: "an answer")]
        stream.remaining = 30_000
        stream.outstanding = 2_768
        return stream
    }

    /// The other side, inside a control frame.
    fileprivate static func smallAcceptor() -> FrozenSession {
        var frozen = Self.empty(.acceptor)
        frozen.received = 40_000
        frozen.incomplete = IncompleteFrame(
            header: FrameHeader(stream: 5, type: .open, length: 13), missing: 9, gathered: ByteBuffer(bytes: [1, 9, 97, 112]))
        frozen.replay = [Peer.data(1, 20), Peer.credit(1, 32_768)]
        frozen.sent = 9_000
        frozen.acknowledged = 9_000 - 40
        frozen.highestPeerStream = 3
        frozen.announcedWindow = .seconds(30)
        frozen.streams = [Self.answeredStream(1), Stream(id: 3, phase: .answering)]
        return frozen
    }
}
