import ArgumentParser
import ChaosHarness
import Foundation
import UnixSignals

/// `gotunnel-chaos backend`.
struct BackendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backend",
        abstract: "A stand-in apiserver with a pattern server, for rehearsals.",
        discussion: """
            Serves HTTPS with a certificate made at the start: /readyz, /stats (what it
            counted, as JSON), and a small object for every other path. The pattern server
            keeps streams busy with a counted pattern and verifies the one that comes back.

            Prints `ready` when it listens. Stops on SIGTERM, on SIGINT, and when its
            standard input is a pipe that is closed; streams that still run are reset.
            """)

    @Option(help: ArgumentHelp("What it calls itself: X-Server, and the greeting of streams.", valueName: "name"))
    var name: String

    @Option(
        help: ArgumentHelp("The address of the HTTPS server.", valueName: "ip:port"), transform: TrafficArguments.address)
    var https: TrafficAddress

    @Option(
        help: ArgumentHelp("The address of the pattern server.", valueName: "ip:port"), transform: TrafficArguments.address)
    var pattern: TrafficAddress

    func run() async throws {
        OpenFiles.raiseLimit()
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let backend = try await Backend.start(name: name, https: https.socket, pattern: pattern.socket)
        TrafficOutput.line("ready")
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { for await _ in signals { break } }
            tasks.addTask { for await _ in StandardInput.end() {} }
            await tasks.next()
            tasks.cancelAll()
        }
        try await backend.stop()
    }
}

/// Notices that whoever started the program is gone.
private enum StandardInput {
    /// Finishes when standard input is a pipe or socket and the other end has closed it; never otherwise.
    ///
    /// A terminal or `/dev/null` says nothing about who started the program.
    static func end() -> AsyncStream<Never> {
        AsyncStream { continuation in
            var facts = stat()
            let kind = fstat(STDIN_FILENO, &facts) == 0 ? facts.st_mode & S_IFMT : 0
            guard kind == S_IFIFO || kind == S_IFSOCK else { return }
            // A thread of its own, because the read waits; it ends with the process.
            Thread.detachNewThread {
                var bytes = [UInt8](repeating: 0, count: 256)
                while true {
                    let count = read(STDIN_FILENO, &bytes, bytes.count)
                    if count == 0 || (count < 0 && errno != EINTR) { break }
                }
                continuation.finish()
            }
        }
    }
}
