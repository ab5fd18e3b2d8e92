import Admin
import ArgumentParser

/// `gotunnelctl peers`.
struct Peers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The other servers of the cluster.")

    @OptionGroup var connection: Connection
    @OptionGroup var output: Output

    func run() async throws {
        let client = connection.client
        if output.json { return Console.write(try await client.raw("/v1/peers")) }
        show(Tables.peers(try await client.peers()), empty: "no peers")
    }
}

/// `gotunnelctl clients`.
struct Clients: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The clients with a session.")

    @OptionGroup var connection: Connection
    @OptionGroup var output: Output

    func run() async throws {
        let client = connection.client
        if output.json { return Console.write(try await client.raw("/v1/clients")) }
        show(Tables.clients(try await client.clients(), now: .now()), empty: "no clients")
    }
}

/// `gotunnelctl exposures`.
struct Exposures: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "What of the clients' networks can be reached, and where.")

    @OptionGroup var connection: Connection
    @OptionGroup var output: Output

    func run() async throws {
        let client = connection.client
        if output.json { return Console.write(try await client.raw("/v1/exposures")) }
        show(Tables.exposures(try await client.exposures()), empty: "no exposures")
    }
}

/// `gotunnelctl streams`.
struct Streams: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The open streams.")

    @OptionGroup var connection: Connection
    @OptionGroup var output: Output

    func run() async throws {
        let client = connection.client
        if output.json { return Console.write(try await client.raw("/v1/streams")) }
        show(Tables.streams(try await client.streams(), now: .now()), empty: "no streams")
    }
}

/// Prints a table, cut to fit only on a terminal. An empty one is a remark, so that a count of lines is 0.
func show(_ table: Table, empty: String) {
    if table.isEmpty {
        Console.remark(empty)
    } else {
        Console.write(table.render(width: Console.width))
    }
}
