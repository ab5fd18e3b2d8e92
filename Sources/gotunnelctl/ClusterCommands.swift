import Admin
import ArgumentParser

/// `gotunnelctl cluster`.
struct ClusterCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Found a cluster, change its voters, hand over the lead.",
        discussion: """
            Servers whose configurations name the same peers found their cluster by themselves, once all of them are there. \
            Voters are changed one at a time; a majority of them has to be up.
            """,
        subcommands: [Initialise.self, Add.self, Remove.self, Transfer.self])

    /// `gotunnelctl cluster init`.
    struct Initialise: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init", abstract: "Found the cluster with the servers that are linked now.",
            discussion: """
                Only where some of the configured peers are not there yet, only on one server, and only once: servers that found \
                two clusters cannot be joined afterwards. The others are added when they come.
                """)

        @OptionGroup var connection: Connection

        func run() async throws {
            report(try await connection.client.administer(.found))
        }
    }

    /// `gotunnelctl cluster add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a server a vote.",
            discussion: """
                The server must be linked with the leader (gotunnelctl peers). A voter that lost its state directory is given its \
                vote again this way.
                """)

        @OptionGroup var connection: Connection

        @Argument(help: "The server's name.")
        var server: String

        func run() async throws {
            report(try await connection.client.administer(.add(voter: server)))
        }
    }

    /// `gotunnelctl cluster remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a server's vote away.",
            discussion: "It may go on serving clients; one that is gone for good no longer counts for a majority.")

        @OptionGroup var connection: Connection

        @Argument(help: "The server's name.")
        var server: String

        func run() async throws {
            report(try await connection.client.administer(.remove(voter: server)))
        }
    }

    /// `gotunnelctl cluster transfer`.
    struct Transfer: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Hand the lead to another voter.", discussion: "Nothing waits for a leader but new mapped ports.")

        @OptionGroup var connection: Connection

        @Argument(help: "The name of the server that is to lead; any voter if left out.")
        var server: String?

        func run() async throws {
            report(try await connection.client.administer(.transfer(to: server)))
        }
    }
}
