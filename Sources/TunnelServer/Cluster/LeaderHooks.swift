import CSpawn
import Daemon
import Dispatch
import Foundation
import Logging
import Synchronization
import Systemd
import Timing
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// Runs an operator's commands when this server begins to lead and when it no longer does. One at a time, in order; of what
/// waits, only the last counts.
///
/// `on_leader` runs one election timeout after the lead was won, when no earlier leader can still believe in its own. The term goes
/// with it: what it changes elsewhere can refuse a lower one.
final class LeaderHooks: Sendable {
    enum Part: String, Sendable {
        case leader, follower
    }

    private let commands: [Part: [String]]
    private let server: ServerName
    private let logger: Logger
    private let queue = DispatchQueue(label: "gotunnel.hooks")
    private let wanted = Mutex<(part: Part, term: UInt64)?>(nil)
    /// What a command may take.
    private static let limit = Duration.seconds(10)

    /// - Parameter onLeader: a program and its arguments; empty: nothing. So is `onFollower`.
    init(onLeader: [String], onFollower: [String], server: ServerName, logger: Logger) {
        self.commands = [.leader: onLeader, .follower: onFollower]
        self.server = server
        self.logger = logger
    }

    /// From any thread.
    func run(_ part: Part, term: UInt64) {
        guard self.commands[part]?.isEmpty == false else { return }
        self.wanted.withLock { $0 = (part, term) }
        self.queue.async { self.work() }
    }

    private func work() {
        let next = self.wanted.withLock { wanted in
            defer { wanted = nil }
            return wanted
        }
        guard let next, let command = self.commands[next.part], let program = command.first else { return }
        let metadata: Logger.Metadata = ["hook": "on_\(next.part.rawValue)", "program": "\(program)", "term": "\(next.term)"]
        let environment = [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOTUNNEL_TERM=\(next.term)",
            "GOTUNNEL_SERVER=\(self.server)", "GOTUNNEL_ROLE=\(next.part.rawValue)",
        ]
        switch HookProcess.run(command, environment: environment, limit: Self.limit) {
        case .exit(0): self.logger.notice("hook has run", metadata: metadata)
        case let end:
            self.logger.error("hook failed", metadata: .event(.hookFailed).with("end", "\(end)").merging(metadata) { $1 })
        }
    }
}

/// One run of a program, with nothing of this process but its standard error.
enum HookProcess {
    enum End: Equatable, CustomStringConvertible {
        case exit(Int32)
        case signal(Int32)
        case tooSlow
        case notStarted(String)

        var description: String {
            switch self {
            case .exit(let code): "exit code \(code)"
            case .signal(let number): "signal \(number)"
            case .tooSlow: "not done within 10 s; it was killed"
            case .notStarted(let reason): "cannot be started: \(reason)"
            }
        }
    }

    /// Waits for the end of it; what it has started itself is killed with it when it takes too long.
    static func run(_ command: [String], environment: [String], limit: Duration) -> End {
        var pid: pid_t = 0
        let result = Self.spawn(command, environment, &pid)
        guard result == 0 else { return .notStarted(String(cString: strerror(result))) }
        let deadline = ContinuousClock.now + limit
        var status: Int32 = 0
        while true {
            let found = waitpid(pid, &status, WNOHANG)
            if found == pid { return status & 0x7F == 0 ? .exit(status >> 8 & 0xFF) : .signal(status & 0x7F) }
            if found < 0, errno != EINTR { return .notStarted("it cannot be waited for") }
            guard ContinuousClock.now < deadline else { break }
            usleep(10_000)
        }
        kill(-pid, SIGKILL)
        waitpid(pid, &status, 0)
        return .tooSlow
    }

    private static func spawn(_ command: [String], _ environment: [String], _ pid: inout pid_t) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, 2, 1)
        // Sockets and listeners are not the command's to keep open.
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        return self.withStrings(command) { arguments in
            self.withStrings(environment) { posix_spawn(&pid, command[0], &actions, &attributes, arguments, $0) }
        }
    }

    private static func withStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
