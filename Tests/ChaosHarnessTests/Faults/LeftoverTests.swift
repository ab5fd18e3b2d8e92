import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

@Suite("What a run notes")
struct LeftoverNoteTests {
    private static let all: [Leftover] = [
        .group(5, start: 6), .namespace("gtc1-1"), .mount("/a b", source: "s"), .cgroup("/c"), .setting("/f", was: "max 1\n"),
        .stopped(7, start: 8), .folder("/tmp/line\nbreak"), .socket("/run/\u{1F480}"),
    ]

    @Test("notes come back as they were made, without what was forgotten, and without a torn last line")
    func notes() throws {
        let made = try Self.all.flatMap { try LeftoverNotes.line(.made($0)) }
        #expect(made.count { $0 == UInt8(ascii: "\n") } == Self.all.count)
        #expect(LeftoverNotes.things(Data(made)) == Self.all)
        let gone = try LeftoverNotes.line(.gone(Self.all[1]))
        #expect(LeftoverNotes.things(Data(made + gone)) == [Self.all[0]] + Self.all[2...])
        #expect(LeftoverNotes.things(Data((made + gone).dropLast(5))) == Self.all)
        #expect(LeftoverNotes.things(Data("{}\nx\n\n".utf8) + Data(made)) == Self.all)
    }

    @Test("a living run's note is left alone by others, and is gone when the run ends, with what was made")
    func lives() async throws {
        try await withFolder { folder in
            let notes = "\(folder)/notes"
            let one = try Leftovers.begin(in: notes)
            let made = "\(folder)/made"
            try one.note(.folder(made))
            try FileManager.default.createDirectory(atPath: "\(made)/inner", withIntermediateDirectories: true)
            let other = try Leftovers.begin(in: notes)
            LeftoverSweep(notes).sweep()
            #expect(FileManager.default.fileExists(atPath: "\(made)/inner"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: notes).count == 2)
            one.end()
            one.end()
            #expect(!FileManager.default.fileExists(atPath: made))
            #expect(throws: StageError.self) { try one.note(.folder(made)) }
            other.end()
            #expect(try FileManager.default.contentsOfDirectory(atPath: notes).isEmpty)
        }
    }

    @Test("a reused number is not the process that was noted, and what others mounted or put there stays")
    func others() async throws {
        try await withProgram(["sleep", "60"]) { process, _ in
            let start = try #require(ProcessTable.startTime(of: process.pid))
            LeftoverSweep.remove([.group(process.pid, start: start + 1), .mount("/", source: "not ours"), .folder("/")])
            #expect(process.isRunning)
            process.signal(SIGSTOP)
            LeftoverSweep.remove([.stopped(process.pid, start: start)])
            try await eventually("it to go on") { text("/proc/\(process.pid)/stat").contains(") S ") }
            LeftoverSweep.remove([.group(process.pid, start: start)])
            #expect(!process.isRunning && process.end == .signal(SIGKILL))
        }
    }

    @Test("a folder that others may write to is not trusted with what to remove")
    func trust() async throws {
        try await withFolder { folder in
            #expect(chmod(folder, 0o777) == 0)
            #expect(throws: StageError.self) { try Leftovers.begin(in: folder) }
            #expect(symlink("/etc", "\(folder)/link") == 0)
            #expect(throws: StageError.self) { try Leftovers.begin(in: "\(folder)/link") }
        }
    }

    @Test("a mark tells a run that is over from one that lives, and from one of another table of processes")
    func marks() {
        #expect(RunMark(RunMark.own.text) == RunMark.own && !RunMark.own.isOver)
        var other = RunMark(pid: getpid(), start: RunMark.own.start + 1, table: RunMark.own.table)
        #expect(other.isOver, "the same number, another process")
        other = RunMark(pid: other.pid, start: other.start, table: "1")
        #expect(!other.isOver)
        for text in ["", "1", "1-2", "1-2-3-4", "x-2-3", "1-2-x", "-1-2-3"] { #expect(RunMark(text) == nil, "\(text)") }
    }
}
