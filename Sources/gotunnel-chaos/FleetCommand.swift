import ArgumentParser
import ChaosHarness
import UnixSignals

/// `gotunnel-chaos fleet`.
struct FleetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fleet",
        abstract: "Many clients in one process that carry nothing, for rehearsals.",
        discussion: "Each comes from an address of its own in 127.1.0.0/16. Runs until SIGTERM or SIGINT.")

    @Option(help: ArgumentHelp("How many.", valueName: "number"))
    var clients: Int

    @Option(help: ArgumentHelp("Links of each.", valueName: "number"))
    var links = 2

    @Option(help: ArgumentHelp("A server's address; to be given for each.", valueName: "host:port"))
    var server: [String]

    @Option(help: ArgumentHelp("The file with their token.", valueName: "file"))
    var tokenFile: String

    @Option(help: ArgumentHelp("A folder for their state.", valueName: "folder"))
    var state: String

    func validate() throws {
        guard (1...5_000).contains(clients) else { throw ValidationError("--clients \(clients): give 1 to 5000") }
    }

    func run() async throws {
        OpenFiles.raiseLimit()
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let fleet = try await ChaosFleet(
            clients: clients, links: links, servers: server, tokenFile: tokenFile, state: state
        ).start()
        TrafficOutput.line("running")
        for await _ in signals { break }
        try await fleet.stop()
    }
}
