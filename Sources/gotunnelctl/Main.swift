import Admin
import ArgumentParser

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `gotunnelctl`: asks and tells a running gotunnel, makes secrets and certificates, checks configurations.
struct GotunnelCtl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gotunnelctl",
        abstract: "Look after gotunnel-server and gotunnel-client.",
        discussion: """
            Commands that talk to a running process use its admin socket: --socket PATH, else the server's default, \
            else the client's.

            Exit codes: 0 done, 64 wrong usage, 69 nothing answers or it cannot do that, 70 internal error, 75 try again later, \
            77 not permitted, 78 wrong configuration.
            """,
        version: "gotunnelctl \(Version.current)",
        groupedSubcommands: [
            CommandGroup(
                name: "Look", subcommands: [Status.self, Peers.self, Clients.self, Exposures.self, Streams.self, Leader.self]),
            CommandGroup(
                name: "Act",
                subcommands: [
                    Drain.self, Undrain.self, Reload.self, Upgrade.self, Stop.self, Evict.self, Move.self, ClusterCommands.self,
                ]),
            CommandGroup(name: "Prepare", subcommands: [TokenCommand.self, PKI.self, Config.self]),
        ])
}

@main
enum Main {
    static func main() async {
        // A reader that has seen enough (`gotunnelctl streams | head`) ends this program quietly.
        signal(SIGPIPE, SIG_DFL)
        do {
            var command = try GotunnelCtl.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            guard let failure = Failure(error) else { GotunnelCtl.exit(withError: error) }
            Console.remark(failure.message)
            exit(failure.exitCode)
        }
    }
}
