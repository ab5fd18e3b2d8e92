import Foundation

/// Short commands of the system.
enum Shell {
    /// Runs a command to its end and gives what it printed; throws what it complained of.
    @discardableResult
    static func run(_ command: [String], input: String? = nil) throws -> String {
        let (said, failure) = try self.outcome(of: command, input: input)
        if let failure { throw StageError("\(command.joined(separator: " ")): \(failure)") }
        return said
    }

    /// Runs a command to its end; gives what it printed, and what it complained of if it failed.
    static func outcome(of command: [String], input: String? = nil) throws -> (said: String, failure: String?) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        let (output, complaint, feed) = (Pipe(), Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = complaint
        process.standardInput = feed
        do { try process.run() } catch { throw StageError("\(command[0]) cannot be run: \(error)") }
        if let input { try? feed.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
        try? feed.fileHandleForWriting.close()
        let said = (try? output.fileHandleForReading.readToEnd()) ?? Data()
        let complained = (try? complaint.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        let reason = String(decoding: complained, as: UTF8.self).split(separator: "\n").first ?? "no reason given"
        return (String(decoding: said, as: UTF8.self), process.terminationStatus == 0 ? nil : String(reason))
    }
}
