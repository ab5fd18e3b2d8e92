import ArgumentParser
import ChaosHarness
import Foundation
import Identity
import NIOCore
import Settings
import UnixSignals

/// `gotunnel-chaos traffic`.
struct TrafficCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "traffic",
        abstract: "Sends traffic through a tunnel and accounts for it.",
        discussion: "SIGTERM and SIGINT end a run early and in order: the file is written.",
        subcommands: [TrafficRequestsCommand.self, TrafficStreamsCommand.self])
}

/// `gotunnel-chaos traffic requests`.
struct TrafficRequestsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requests",
        abstract: "Short HTTPS requests by a fixed schedule, each over a new connection.",
        discussion: """
            Every request through the tunnel has a twin straight to a backend, half an
            interval later. Times count from the moment a request was due, whenever it
            could really start. The stand-ins' certificates are not verified.

            Prints `started` when the schedule stands.
            """)

    @Option(help: ArgumentHelp("Where the tunnel's client listens.", valueName: "ip:port"), transform: TrafficArguments.address)
    var forward: TrafficAddress

    @Option(
        help: ArgumentHelp("A backend that is reached without the tunnel.", valueName: "ip:port"),
        transform: TrafficArguments.address)
    var control: TrafficAddress

    @Option(
        help: ArgumentHelp("Between two requests of one path, at least 1ms.", valueName: "time"),
        transform: TrafficArguments.duration)
    var interval: Duration = .milliseconds(10)

    @Option(help: ArgumentHelp("How long requests are started.", valueName: "time"), transform: TrafficArguments.duration)
    var duration: Duration = .seconds(20)

    @Option(help: ArgumentHelp("The file for the results (JSON).", valueName: "file"), transform: TrafficArguments.output)
    var output: String

    func validate() throws {
        guard duration / interval <= Double(RequestsPlan.requestLimit) else {
            throw ValidationError(
                "--duration and --interval make more than \(RequestsPlan.requestLimit) requests: "
                    + "choose a shorter run or a longer interval")
        }
    }

    func run() async throws {
        OpenFiles.raiseLimit()
        let traffic = RequestTraffic(
            RequestsPlan(
                forward: forward.socket, control: control.socket, interval: TimeAmount(interval), duration: TimeAmount(duration)))
        let report = try await TrafficOutput.stopping(traffic.stop) {
            try await traffic.run { TrafficOutput.line("started") }
        }
        try TrafficOutput.write(report, to: output)
    }
}

/// `gotunnel-chaos traffic streams`.
struct TrafficStreamsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "streams",
        abstract: "Long streams that carry a counted pattern both ways.",
        discussion: """
            Both ends verify every byte. The run is over after --duration, or earlier when
            no stream is left; what runs then is reported as open, or, with --finish-at-end,
            finishes, so that its last bytes are accounted for as well.

            Prints `opened N` once each stream has opened or failed.
            """)

    @Option(help: ArgumentHelp("Where the tunnel's client listens.", valueName: "ip:port"), transform: TrafficArguments.address)
    var forward: TrafficAddress

    @Option(help: ArgumentHelp("How many streams, at most \(StreamsPlan.streamLimit).", valueName: "number"))
    var count = 100

    @Option(help: ArgumentHelp("How long the run lasts.", valueName: "time"), transform: TrafficArguments.duration)
    var duration: Duration = .seconds(20)

    @Option(
        help: ArgumentHelp(
            "When streams finish in order after they opened: `5s`, or `5s..15s` for evenly in between. Default: none does.",
            valueName: "time"),
        transform: TrafficArguments.range)
    var finishAfter: ClosedRange<Duration>?

    @Flag(help: "Streams finish in order when the run is over.")
    var finishAtEnd = false

    @Option(
        help: ArgumentHelp(
            "How fast both ends send: bytes of a write and time between two, `1024/200ms`. Default: 4096/125ms.",
            valueName: "bytes/time"),
        transform: TrafficArguments.pace)
    var pace: PatternPace?

    @Option(help: ArgumentHelp("From what the streams' bytes are made. Default: another one each time.", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("The file for the results (JSON).", valueName: "file"), transform: TrafficArguments.output)
    var output: String

    func validate() throws {
        guard (1...StreamsPlan.streamLimit).contains(count) else {
            throw ValidationError("--count \(count) is out of range: give 1 to \(StreamsPlan.streamLimit)")
        }
    }

    func run() async throws {
        OpenFiles.raiseLimit()
        let traffic = StreamTraffic(
            StreamsPlan(
                forward: forward.socket, count: count, duration: TimeAmount(duration),
                finishAfter: finishAfter.map { TimeAmount($0.lowerBound)...TimeAmount($0.upperBound) },
                pace: pace ?? .standard, isPaceForBoth: pace != nil, finishesAtEnd: finishAtEnd,
                seed: seed ?? .random(in: .min ... .max)))
        let report = try await TrafficOutput.stopping(traffic.stop) {
            try await traffic.run { TrafficOutput.line("opened \($0)") }
        }
        try TrafficOutput.write(report, to: output)
    }
}

/// An address that is no name: a lookup would be part of every connection's time.
struct TrafficAddress: CustomStringConvertible, Sendable {
    let socket: SocketAddress
    let description: String
}

/// How the values of options are read.
enum TrafficArguments {
    static func address(_ text: String) throws -> TrafficAddress {
        guard let parsed = HostPort(text), case .address(let address) = parsed.host,
            let socket = try? SocketAddress(ipAddress: address.description, port: parsed.port)
        else { throw ValidationError("\(shown(text)) is not an IP address with a port: write 127.0.0.1:6443 or [::1]:6443") }
        return TrafficAddress(socket: socket, description: parsed.description)
    }

    static func duration(_ text: String) throws -> Duration {
        guard let duration = DurationText.parse(text), duration > .zero else {
            throw ValidationError("\(shown(text)) is not a time: write 500ms, 20s or 5m")
        }
        guard duration <= .seconds(86_400) else { throw ValidationError("\(shown(text)) is too long: at most 24h") }
        return duration
    }

    static func range(_ text: String) throws -> ClosedRange<Duration> {
        guard let dots = text.firstRange(of: "..") else {
            let moment = try duration(text)
            return moment...moment
        }
        let from = try duration(String(text[..<dots.lowerBound]))
        let to = try duration(String(text[dots.upperBound...]))
        guard from <= to else { throw ValidationError("\(shown(text)) ends before it begins: write the shorter time first") }
        return from...to
    }

    static func pace(_ text: String) throws -> PatternPace {
        let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
        guard parts.count == 2, let chunk = Int(parts[0]), (8...65_536).contains(chunk) else {
            throw ValidationError("\(shown(text)) is no pace: write 1024/200ms, with 8 to 65536 bytes")
        }
        let interval = try duration(parts[1])
        guard interval >= .milliseconds(1), interval <= .seconds(3_600) else {
            throw ValidationError("\(shown(text)): give 1ms to 1h between two writes")
        }
        return PatternPace(chunk: chunk, interval: TimeAmount(interval))
    }

    /// Refused now rather than after the run.
    static func output(_ text: String) throws -> String {
        let directory = URL(fileURLWithPath: text).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: directory) else {
            throw ValidationError("\(shown(directory)) cannot be written to: make the directory, or name a file elsewhere")
        }
        return text
    }

    private static func shown(_ text: String) -> String { "\"\(PrintableText.sanitize(text, limit: 100))\"" }
}

/// What the commands print and leave behind.
enum TrafficOutput {
    /// One line on standard output, at once. That nobody reads it is no error.
    static func line(_ text: String) {
        try? FileHandle.standardOutput.write(contentsOf: Data("\(text)\n".utf8))
    }

    /// Runs `body`, and calls `stop` when a signal asks the program to end.
    static func stopping<Result: Sendable>(
        _ stop: @escaping @Sendable () -> Void, _ body: @Sendable () async throws -> Result
    ) async throws -> Result {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let watch = Task { for await _ in signals { stop() } }
        defer { watch.cancel() }
        return try await body()
    }

    static func write(_ report: some Encodable, to path: String) throws {
        do {
            try TrafficFile.write(report, to: path)
        } catch {
            throw TrafficProblem(
                "the results cannot be written to \(PrintableText.sanitize(path)): \(error.localizedDescription); choose another --output"
            )
        }
    }
}
