import Admin
import ArgumentParser

/// `gotunnelctl upgrade`.
struct Upgrade: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put the installed program in the place of the running one.",
        discussion: """
            The process keeps its connections, its streams and its id; their bytes wait for a
            moment. A program that would not start with the present configuration is refused,
            and nothing changes. One that reads no handoff of this version takes over after
            the streams have been drained.
            """)

    @OptionGroup var connection: Connection

    /// How long nothing may answer before the upgrade counts as failed.
    private static let patience = Duration.seconds(30)

    func run() async throws {
        let client = self.connection.client
        let before = try await client.status().process
        report(try await client.upgrade())
        let after = try await self.successor(of: before, client)
        guard after.pid == before.pid else {
            throw Failure("the process ended instead of going on, and was started again; see its log", exitCode: 70)
        }
        guard let handoff = after.handoff else { return Console.write("the new program runs; it began anew\n") }
        Console.write(
            "the new program runs: \(handoff.carried) connections went on, \(handoff.lost) were reset, all waited "
                + "\(Int(handoff.pauseSeconds * 1_000)) ms\n")
        if handoff.lost > 0 { throw Failure("connections were lost; see the log of the process", exitCode: 70) }
    }

    /// Waits for the new program to answer.
    private func successor(of old: ProcessStatus, _ client: AdminClient) async throws -> ProcessStatus {
        var lastAnswer = ContinuousClock.now
        while ContinuousClock.now - lastAnswer < Self.patience {
            if let now = try? await client.status().process {
                if now.startedAt != old.startedAt { return now }
                lastAnswer = .now
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure("the new program does not answer; see the log of the process", exitCode: 69)
    }
}
