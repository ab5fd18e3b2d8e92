import Admin
import ArgumentParser

/// `gotunnelctl drain`.
struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take no new work and let the old finish.",
        discussion: "The process stays; undrain takes it back. drain_timeout of the configuration bounds the wait.")

    @OptionGroup var connection: Connection

    @Flag(help: "Return when nothing is left or the time is over.")
    var wait = false

    func run() async throws {
        report(try await connection.client.drain(wait: wait))
    }
}

/// `gotunnelctl undrain`.
struct Undrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take new work again after a drain.")

    @OptionGroup var connection: Connection

    func run() async throws {
        report(try await connection.client.undrain())
    }
}

/// `gotunnelctl reload`.
struct Reload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read the configuration again, as SIGHUP does.",
        discussion: "Says what changed and what needs a restart. A wrong file changes nothing and exits 78.")

    @OptionGroup var connection: Connection

    func run() async throws {
        report(try await connection.client.reload())
    }
}

/// `gotunnelctl evict`.
struct Evict: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End the session of a client, and with it its streams.",
        discussion: "The client may come back at once; to keep it out, remove its token and reload.")

    @OptionGroup var connection: Connection

    @Argument(help: "The client's name.")
    var client: String

    func run() async throws {
        report(try await connection.client.evict(client: client))
    }
}

/// `gotunnelctl move`.
struct Move: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Ask a client to take its streams to another server.")

    @OptionGroup var connection: Connection

    @Argument(help: "The client's name.")
    var client: String

    @Argument(help: "The name of the server that is to have it.")
    var peer: String

    func run() async throws {
        report(try await connection.client.move(client: client, to: peer))
    }
}

func report(_ result: ActionResult) {
    for message in result.messages { Console.write(SafeText.line(message, limit: 1000) + "\n") }
}
