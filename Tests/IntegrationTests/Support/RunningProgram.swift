import CSpawn
import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// How a program ended.
enum ProgramEnd: Equatable, Sendable, CustomStringConvertible {
    case exit(Int32)
    case signal(Int32)

    var description: String {
        switch self {
        case .exit(let code): "exit code \(code)"
        case .signal(let number): "signal \(number)"
        }
    }

    init(waitStatus status: Int32) {
        self = status & 0x7f == 0 ? .exit(status >> 8 & 0xff) : .signal(status & 0x7f)
    }
}

/// A program that a test has started; always ended by `RunningProgram.with`.
final class RunningProgram: Sendable {
    let name: String
    let pid: pid_t
    /// Where its standard output and standard error go.
    let outputPath: String
    let logPath: String
    private let end = Mutex<ProgramEnd?>(nil)

    private init(name: String, pid: pid_t, outputPath: String, logPath: String) {
        self.name = name
        self.pid = pid
        self.outputPath = outputPath
        self.logPath = logPath
    }

    /// Starts a program with its output in `NAME.out` and `NAME.log` of `folder`, which are continued when they exist.
    ///
    /// - Parameters:
    ///   - environment: added to this process's.
    ///   - directory: its working directory; by default this process's.
    static func start(
        _ path: String, _ arguments: [String] = [], name: String, in folder: TemporaryFolder, environment: [String: String] = [:],
        input: String = "/dev/null"
    ) throws -> RunningProgram {
        let (output, log) = (folder["\(name).out"], folder["\(name).log"])
        let pid = try spawn([path] + arguments, environment: environment, input: input, output: output, log: log)
        return RunningProgram(name: name, pid: pid, outputPath: output, logPath: log)
    }

    /// Starts a program, runs `body`, and ends the program whatever happens.
    static func with<Result>(
        _ path: String, _ arguments: [String] = [], name: String, in folder: TemporaryFolder, environment: [String: String] = [:],
        isolation: isolated (any Actor)? = #isolation, _ body: (RunningProgram) async throws -> Result
    ) async throws -> Result {
        let program = try start(path, arguments, name: name, in: folder, environment: environment)
        return try await program.use(body)
    }

    /// Runs `body` and ends the program whatever happens; an error of `body` comes with the tail of the log.
    func use<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (RunningProgram) async throws -> Result
    ) async throws -> Result {
        do {
            let result = try await body(self)
            await self.stop()
            return result
        } catch {
            await self.stop()
            throw Unmet("\(error)\n\(self.tail)")
        }
    }

    /// What it wrote to standard error.
    var log: String { (try? String(decoding: Data(contentsOf: URL(filePath: self.logPath)), as: UTF8.self)) ?? "" }
    var logLines: [String] { self.log.split(separator: "\n").map(String.init) }
    var output: String { (try? String(decoding: Data(contentsOf: URL(filePath: self.outputPath)), as: UTF8.self)) ?? "" }

    /// The end of the log, for a failing test.
    var tail: String {
        (["--- \(self.name) (pid \(self.pid)), end of its log:"] + self.logLines.suffix(25)).joined(separator: "\n")
    }

    /// How it ended; nil while it runs.
    var ended: ProgramEnd? {
        self.end.withLock { end in
            if end != nil { return end }
            var status: Int32 = 0
            if waitpid(self.pid, &status, WNOHANG) == self.pid { end = ProgramEnd(waitStatus: status) }
            return end
        }
    }

    var isRunning: Bool { self.ended == nil }

    /// Sends a signal to this one process.
    func signal(_ number: Int32) {
        self.end.withLock { end in
            // A process that was waited for may have given its number to another.
            if end == nil { _ = kill(self.pid, number) }
        }
    }

    /// How it ended, once it has.
    func exit(within limit: Duration = .seconds(10)) async throws -> ProgramEnd {
        try await eventually("the end of \(self.name)", within: limit) { self.ended }
    }

    /// Ends it: SIGTERM, and SIGKILL when that takes long.
    func stop(patience: Duration = .seconds(3)) async {
        self.signal(SIGTERM)
        if (try? await self.exit(within: patience)) == nil {
            self.signal(SIGCONT)
            self.signal(SIGKILL)
            _ = try? await self.exit(within: .seconds(5))
        }
    }

    /// Resident memory in bytes; 0 when it has ended.
    var residentBytes: Int {
        let fields = (try? String(contentsOfFile: "/proc/\(self.pid)/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    /// Open file descriptors.
    var openDescriptors: Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(self.pid)/fd"))?.count ?? 0 }
}

/// Starts a process in a process group of its own, with three descriptors and no other: a listener of this process that lived
/// on in a daemon would be no longer closed by closing it here.
func spawn(
    _ command: [String], environment: [String: String], input: String, output: String, log: String
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    // Sockets of this process are not close-on-exec, and another thread may open one at this very moment: a program that
    // inherited a connection would keep it open when the test has closed it.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    // The test runner may block or ignore signals that the program wants.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    posix_spawnattr_setflags(&attributes, Int16(flags))
    let whole = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }.sorted()
    var pid: pid_t = 0
    let result = withCStrings(command) { arguments in
        withCStrings(whole) { posix_spawn(&pid, command[0], &actions, &attributes, arguments, $0) }
    }
    guard result == 0 else { throw Unmet("expected \(command[0]) to start: \(String(cString: strerror(result)))") }
    return pid
}

/// A null-terminated array of C strings for the time of `body`.
private func withCStrings<Result>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
    let copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
}
