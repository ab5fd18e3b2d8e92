#if canImport(Glibc)
import Glibc
#endif

/// How a process has ended.
package enum ProcessEnd: Sendable, Equatable, CustomStringConvertible {
    case exit(Int32)
    case signal(Int32)
    /// Somebody else has waited for it.
    case unseen

    /// Of what waitpid(2) gives; see wait(2).
    init(status: Int32) {
        let number = status & 0x7f
        self = number == 0 ? .exit(status >> 8 & 0xff) : .signal(number)
    }

    /// `exit 0`, `SIGKILL`.
    package var description: String {
        switch self {
        case .exit(let code): "exit \(code)"
        case .unseen: "ended unseen"
        case .signal(let number): Self.names[number] ?? "signal \(number)"
        }
    }

    private static let names: [Int32: String] = [
        SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGTRAP: "SIGTRAP", SIGABRT: "SIGABRT",
        SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGUSR1: "SIGUSR1", SIGSEGV: "SIGSEGV", SIGUSR2: "SIGUSR2",
        SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM", SIGTERM: "SIGTERM", SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ", SIGSYS: "SIGSYS",
    ]
}

/// Limits with which a program starts (getrlimit(2)), soft and hard ones alike; nil: those of its parent.
package struct ProcessLimits: Sendable, Equatable {
    /// RLIMIT_NOFILE.
    package var openFiles: Int?
    /// RLIMIT_AS, in bytes.
    package var memory: Int?
    /// RLIMIT_FSIZE, in bytes.
    package var fileSize: Int?

    package init(openFiles: Int? = nil, memory: Int? = nil, fileSize: Int? = nil) {
        self.openFiles = openFiles
        self.memory = memory
        self.fileSize = fileSize
    }

    /// What makes way for the program after it has set the limits; empty: there are none.
    var command: [String] {
        let options = [("nofile", self.openFiles), ("as", self.memory), ("fsize", self.fileSize)].compactMap { name, value in
            value.map { "--\(name)=\($0):\($0)" }
        }
        return options.isEmpty ? [] : ["prlimit"] + options + ["--"]
    }
}
