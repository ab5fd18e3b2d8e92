import ApiserverTraffic
import ArgumentParser
import ChaosCore
import ChaosHarness
import Foundation
import NIOCore
import UnixSignals

/// `gotunnel-chaos apiserver`.
struct ApiserverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apiserver",
        abstract: "A stand-in for kube-apiserver, for rehearsals.",
        discussion: """
            TLS with a certificate made at the start, HTTP/2 and HTTP/1.1; every byte that
            it sends is known beforehand, every byte that it gets is checked.

            Prints `listening` when it listens. Stops on SIGTERM and SIGINT.
            """)

    @Option(help: ArgumentHelp("What it calls itself.", valueName: "name"))
    var name: String

    @Option(help: ArgumentHelp("Where it listens.", valueName: "ip:port"), transform: TrafficArguments.address)
    var listen: TrafficAddress

    @Option(help: ArgumentHelp("The file to which it appends what it notices, a JSON object a line.", valueName: "file"))
    var output: String

    @Option(help: ArgumentHelp("Milliseconds between two events of a watch.", valueName: "number"))
    var interval = TrafficLayout().eventInterval

    func validate() throws {
        guard (1...60_000).contains(interval) else { throw ValidationError("--interval \(interval): give 1 to 60000") }
    }

    func run() async throws {
        OpenFiles.raiseLimit()
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let recorder = try Recorder(path: output, who: name)
        let apiserver = try await StandInApiserver.start(
            name: name, listen: listen.socket, interval: .milliseconds(Int64(interval)), recorder: recorder)
        TrafficOutput.line("listening")
        for await _ in signals { break }
        try await apiserver.stop()
        recorder.finish()
    }
}
