import Admin
import CSpawn
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// The program that is to take this one's place: asked whether it can, and executed.
struct NextProgram: Sendable {
    private let setup: Succession.Setup

    /// How long it may take to answer.
    private static let patience = Duration.seconds(10)
    /// What it may say, in bytes.
    private static let longestAnswer = 4_096

    init(_ setup: Succession.Setup) { self.setup = setup }

    /// Which formats of a handoff it reads. Throws, for the operator, when it cannot be started or would refuse the configuration.
    func vet() async throws -> ClosedRange<UInt16> {
        let program = SafeText.line(self.setup.program)
        let check = try await self.ask(["--config", self.setup.configuration, "--check"])
        guard check.code == 0 else {
            throw AdminError(
                422,
                "nothing was changed: \(program) would not start with this configuration: \(SafeText.line(check.text.trimmingCharacters(in: .whitespacesAndNewlines), limit: 1_000))"
            )
        }
        let answer = try await self.ask(["--handoff-formats"])
        let numbers = answer.text.split(whereSeparator: { !$0.isNumber }).compactMap { UInt16($0) }
        // A program that knows no such option reads no handoff at all.
        guard answer.code == 0, numbers.count == 2, numbers[0] <= numbers[1] else { return 0...0 }
        return numbers[0]...numbers[1]
    }

    /// Returns only when it fails, with the error number.
    func execute(environment: [String: String]) -> CInt {
        let arguments = CStrings([self.setup.program] + self.setup.arguments.dropFirst())
        let variables = CStrings(environment.map { "\($0)=\($1)" }.sorted())
        // A signal that comes before the new program listens must not end it.
        for number in [SIGHUP, SIGTERM, SIGINT] { signal(number, SIG_IGN) }
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        execve(self.setup.program, arguments.pointers, variables.pointers)
        let failure = errno
        // The file may be gone; what this process runs is still there.
        execve("/proc/self/exe", arguments.pointers, variables.pointers)
        return failure
    }

    private func ask(_ arguments: [String]) async throws -> (code: CInt, text: String) {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try self.run(arguments) }) }
        }
    }

    private func run(_ arguments: [String]) throws -> (code: CInt, text: String) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemCallFailure("pipe", errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var environment = self.setup.environment
        // It must not take itself for the service.
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            environment[name] = nil
        }
        let words = CStrings([self.setup.program] + arguments)
        let variables = CStrings(environment.map { "\($0)=\($1)" }.sorted())
        var process = pid_t()
        let result = posix_spawn(&process, self.setup.program, &actions, nil, words.pointers, variables.pointers)
        close(ends[1])
        guard result == 0 else {
            let program = SafeText.line(self.setup.program)
            throw AdminError(422, "nothing was changed: \(program) cannot be started: \(String(cString: strerror(result)))")
        }
        let text = self.output(of: process, ends[0])
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return (status & 0x7F == 0 ? (status >> 8) & 0xFF : -1, text)
    }

    /// What it says until it ends; one that takes too long is killed.
    private func output(of process: pid_t, _ descriptor: CInt) -> String {
        var text: [UInt8] = []
        let end = ContinuousClock.now + Self.patience
        var buffer = [UInt8](repeating: 0, count: 1_024)
        while true {
            let left = Int((end - ContinuousClock.now) / .milliseconds(1))
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&wanted, 1, CInt(clamping: left)) != 0 else {
                kill(process, SIGKILL)
                return "no answer within \(Self.patience)"
            }
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: text, as: UTF8.self) }
            text.append(contentsOf: buffer.prefix(min(count, Self.longestAnswer - text.count)))
        }
    }
}

/// Null-terminated strings for calls that want them.
private final class CStrings {
    private(set) var pointers: [UnsafeMutablePointer<CChar>?]

    init(_ strings: [String]) { self.pointers = strings.map { strdup($0) } + [nil] }

    deinit { for pointer in self.pointers { free(pointer) } }
}
