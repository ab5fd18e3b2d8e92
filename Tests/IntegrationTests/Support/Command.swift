import Foundation

/// What a command that ran to its end has said.
struct CommandResult: Sendable, CustomStringConvertible {
    let end: ProgramEnd
    let output: String
    let errors: String

    var errorLines: [String] { self.errors.split(separator: "\n").map(String.init) }
    var description: String {
        "\(self.end)\nstandard output: \(self.output.suffix(2_000))\nstandard error: \(self.errors.suffix(2_000))"
    }
}

/// Runs a command to its end, within a bound.
func run(
    _ path: String, _ arguments: [String], environment: [String: String] = [:], input: String = "/dev/null",
    within limit: Duration = .seconds(30)
) async throws -> CommandResult {
    try await TemporaryFolder.with { folder in
        let program = try RunningProgram.start(
            path, arguments, name: "command", in: folder, environment: environment, input: input)
        return try await program.use { program in
            let end = try await program.exit(within: limit)
            return CommandResult(end: end, output: program.output, errors: program.log)
        }
    }
}

/// The same; anything but exit code 0 is a failure.
@discardableResult
func runWell(
    _ path: String, _ arguments: [String], environment: [String: String] = [:], within limit: Duration = .seconds(30)
) async throws -> String {
    let result = try await run(path, arguments, environment: environment, within: limit)
    guard result.end == .exit(0) else {
        throw Unmet("expected exit code 0 of \(([path] + arguments).joined(separator: " ")), got \(result)")
    }
    return result.output
}
