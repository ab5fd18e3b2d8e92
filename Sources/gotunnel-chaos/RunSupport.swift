import ArgumentParser
import Foundation
import Synchronization

/// An order that cannot be carried out.
enum Refusal {
    /// Says why in one line, and gives the exit code for wrong usage.
    static func of(_ line: String) -> ExitCode {
        FileHandle.standardError.write(Data("gotunnel-chaos: \(line)\n".utf8))
        return ExitCode(64)
    }
}

/// Where things are.
enum Paths {
    static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    /// This program itself, however it was called.
    static func program(_ called: String) -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return own.isEmpty ? self.absolute(called) : own
    }

    static func checkPrograms(_ folder: String) throws {
        for program in ["gotunnel-server", "gotunnel-client", "gotunnelctl"] {
            guard FileManager.default.isExecutableFile(atPath: "\(folder)/\(program)") else {
                throw Refusal.of("\(folder)/\(program) is missing: run make build, or name the folder with --programs")
            }
        }
    }
}

/// What is shown while a run goes on: events a line each, and below them, on a terminal, a line that changes.
final class LiveScreen: Sendable {
    private let name: String
    private let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let hasLine = Mutex(false)

    init(name: String, isQuiet: Bool) {
        self.name = name
        self.isQuiet = isQuiet
    }

    func say(_ text: String) {
        guard !self.isQuiet else { return }
        self.hasLine.withLock { hasLine in
            self.write((hasLine ? "\r\u{1b}[K" : "") + "\(self.name): \(text)\n")
            hasLine = false
        }
    }

    /// - Parameter text: at most 80 columns; nil: there is nothing more to follow.
    func progress(_ text: String?) {
        guard !self.isQuiet, self.isTerminal else { return }
        self.hasLine.withLock { hasLine in
            if let text {
                self.write("\r\u{1b}[K\(text)")
                hasLine = true
            } else if hasLine {
                self.write("\n")
                hasLine = false
            }
        }
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// Has the time line drawn, by the script beside the scenarios.
enum Plot {
    static func draw(_ folder: String, scenarios: String, say: (String) -> Void) {
        let script = "\(scenarios)/plot"
        guard FileManager.default.isExecutableFile(atPath: script) else {
            return say("no picture: \(script) is not there")
        }
        let process = Process()
        process.executableURL = URL(filePath: script)
        process.arguments = ["\(folder)/results.json", "--output", "\(folder)/timeline.svg", "--png", "\(folder)/timeline.png"]
        process.standardInput = FileHandle.nullDevice
        do {
            try process.run()
            process.waitUntilExit()
            if process.terminationStatus != 0 { say("no picture: \(script) failed (is python3-matplotlib installed?)") }
        } catch {
            say("no picture: \(script) cannot be run")
        }
    }
}
