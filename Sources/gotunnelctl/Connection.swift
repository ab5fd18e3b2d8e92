import Admin
import ArgumentParser
import Foundation
import Settings

/// The options of every command that talks to a running process.
struct Connection: ParsableArguments {
    @Option(
        help: ArgumentHelp("The admin socket; by default the server's, else the client's.", valueName: "path"),
        completion: .file())
    var socket: String?

    var client: AdminClient {
        AdminClient(socket: socket ?? Self.defaultSocket(in: .current(environment: ProcessInfo.processInfo.environment)))
    }

    /// The socket of this user's server or client; else of those that run as root, which members of their group may use.
    private static func defaultSocket(in surroundings: Surroundings) -> String {
        var system = surroundings
        system.environment = [:]
        system.userID = 0
        let candidates = [surroundings, system].flatMap { place in Role.allCases.map { place.adminSocket(for: $0) } }
        return AdminClient.firstAnswering(of: candidates) ?? surroundings.adminSocket(for: .server)
    }
}

/// The options of every command that shows something.
struct Output: ParsableArguments {
    @Flag(help: "The answer as JSON, as the admin API gives it.")
    var json = false
}
