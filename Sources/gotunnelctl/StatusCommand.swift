import Admin
import ArgumentParser

/// `gotunnelctl status`.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The process at a glance: readiness, links, services, clients.",
        usage: """
            gotunnelctl status [--socket <path>] [--json]
                               [--watch] [--interval <seconds>]
            """)

    @OptionGroup var connection: Connection
    @OptionGroup var output: Output

    @Flag(help: "Show it again and again until interrupted.")
    var watch = false

    @Option(help: ArgumentHelp("Seconds between two looks of --watch.", valueName: "seconds"))
    var interval = 2.0

    func validate() throws {
        guard interval.isFinite, (0.1...86_400).contains(interval) else {
            throw ValidationError("--interval must be between 0.1 and 86400 seconds.")
        }
    }

    func run() async throws {
        guard watch else { return try await show(connection.client) }
        while true {
            do {
                try await show(connection.client)
            } catch let error as AdminClientError {
                // Whoever watches a restart wants to see the end of it.
                Console.write(clear + error.description + "\n")
            }
            try await Task.sleep(for: .seconds(interval))
        }
    }

    private var clear: String { watch && Console.isTerminal && !output.json ? "\u{1b}[H\u{1b}[2J" : "" }

    private func show(_ client: AdminClient) async throws {
        if output.json {
            Console.write(try await client.raw("/v1/status"))
        } else {
            Console.write(clear + StatusText.render(try await client.status(), width: Console.width))
        }
    }
}

/// `gotunnelctl leader`.
struct Leader: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Who leads the cluster.")

    @OptionGroup var connection: Connection
    @OptionGroup var output: Output

    private struct Answer: Encodable {
        var role: ServerStatus.Role
        @OrNull var leader: String?
        var term: UInt64
        @OrNull var cluster: String?
        var voters: [String]
    }

    func run() async throws {
        guard case .server(let status) = try await connection.client.status() else {
            throw Failure("this is a client; ask a server (--socket PATH)", exitCode: 69)
        }
        if output.json {
            let answer = Answer(
                role: status.role, leader: status.leader, term: status.term, cluster: status.cluster, voters: status.voters)
            Console.write(try AdminJSON.encode(answer) + Array("\n".utf8))
        } else if status.role == .single {
            Console.write("\(SafeText.line(status.name)) is a single server: it has no peers and needs no leader\n")
        } else {
            let voters = status.voters.isEmpty ? "none yet" : status.voters.map { SafeText.line($0) }.joined(separator: ", ")
            Console.write(
                "\(status.leader.map { SafeText.line($0) } ?? "none") (term \(status.term); voters: \(voters))\n")
        }
    }
}
