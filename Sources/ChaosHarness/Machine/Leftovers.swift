import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// What a run has made that outlives it: noted in a file *before* it is made, so that the next run can remove it when this one
/// is killed. The file is locked as long as its run lives, so that nobody takes a living run's things away.
///
/// It is at `/run/gotunnel-chaos/PID.leftovers`, or for other users than root in `$XDG_RUNTIME_DIR`; a line for each thing.
package final class Leftovers: Sendable {
    private struct State: Sendable {
        /// Nil: the run is over.
        var file: CInt?
        var things: [Leftover] = []
    }

    private let path: String
    private let state: Mutex<State>

    /// The folder of the notes of all runs of this user.
    package static var folder: String {
        if geteuid() == 0 { return "/run/gotunnel-chaos" }
        if let own = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"], !own.isEmpty { return "\(own)/gotunnel-chaos" }
        return NSTemporaryDirectory() + "gotunnel-chaos-\(geteuid())"
    }

    /// Removes what dead runs left, then opens a note for this one; a process may have several.
    package static func begin(in folder: String = Leftovers.folder) throws -> Leftovers {
        try self.makeFolder(folder)
        LeftoverSweep(folder).sweep()
        return try Leftovers(folder)
    }

    private static let count = Atomic<Int>(0)

    private init(_ folder: String) throws {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        let name = "\(getpid())\(number == 1 ? "" : "-\(number)")"
        self.path = "\(folder)/\(name).leftovers"
        // Under another name until it is locked: an unlocked one is a dead run's.
        let unready = "\(folder)/\(name).new"
        let file = open(unready, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0, flock(file, LOCK_EX | LOCK_NB) == 0, rename(unready, self.path) == 0 else {
            let reason = String(cString: strerror(errno))
            if file >= 0 { close(file) }
            throw StageError("\(unready) cannot be written: \(reason)")
        }
        self.state = Mutex(State(file: file))
    }

    /// Notes what is about to be made.
    package func note(_ thing: Leftover) throws {
        try self.state.withLock { state in
            guard let file = state.file else { throw StageError("the run is over: nothing is made any more") }
            let line = try LeftoverNotes.line(.made(thing))
            guard write(file, line, line.count) == line.count else {
                throw StageError("\(self.path) cannot be written: \(String(cString: strerror(errno)))")
            }
            state.things.append(thing)
        }
    }

    /// Notes that the run has removed it itself: its name may be used by others now.
    package func forget(_ thing: Leftover) {
        self.state.withLock { state in
            guard let file = state.file, let index = state.things.lastIndex(of: thing) else { return }
            state.things.remove(at: index)
            guard let line = try? LeftoverNotes.line(.gone(thing)) else { return }
            _ = write(file, line, line.count)
        }
    }

    /// What is noted now.
    package var things: [Leftover] { self.state.withLock { $0.things } }

    /// Removes what is still there, and the note with it.
    package func end() {
        let things = self.state.withLock { state in state.file == nil ? nil : state.things }
        guard let things else { return }
        LeftoverSweep.remove(things)
        self.state.withLock { state in
            guard let file = state.file else { return }
            unlink(self.path)
            close(file)
            state.file = nil
        }
    }

    /// Makes the folder for this user alone. One that others may write to is refused: what it says is done.
    static func makeFolder(_ path: String) throws {
        try? FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        var facts = stat()
        guard lstat(path, &facts) == 0 else { throw StageError("\(path) cannot be made: \(String(cString: strerror(errno)))") }
        guard facts.st_mode & S_IFMT == S_IFDIR, facts.st_uid == geteuid(), facts.st_mode & 0o022 == 0 else {
            throw StageError("\(path) must be a folder of this user's that nobody else may write to: remove it")
        }
    }
}

/// How things are noted: JSON, a line for each.
enum LeftoverNotes {
    enum Note: Codable, Equatable {
        case made(Leftover), gone(Leftover)
    }

    static func line(_ note: Note) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(note)) + [UInt8(ascii: "\n")]
    }

    /// What was made and not removed again, of what can be read; the last line may be torn.
    static func things(_ data: Data) -> [Leftover] {
        var things: [Leftover] = []
        for line in data.split(separator: UInt8(ascii: "\n")) {
            switch try? JSONDecoder().decode(Note.self, from: Data(line)) {
            case .made(let thing): things.append(thing)
            case .gone(let thing): if let index = things.lastIndex(of: thing) { things.remove(at: index) }
            case nil: continue
            }
        }
        return things
    }
}
