import Foundation

/// Measured trials of a cluster of real processes.
package enum ClusterTrial: String, Sendable, CaseIterable {
    case leader, death, starved, port, split, registry

    package var title: String {
        switch self {
        case .leader: "the leader is killed"
        case .death: "a server is killed, or silently cut off"
        case .starved: "a server is stopped for a second; the machine is busy"
        case .port: "the server that holds a client is killed"
        case .split: "five servers fall into three and two"
        case .registry: "many registrations in a cluster of five"
        }
    }

    /// Whether there is nothing of it without network namespaces.
    package var needsRoot: Bool { self == .split }

    /// How much is done.
    package struct Size: Sendable {
        package var kills = 50
        package var deaths = 10
        package var cuts = 5
        package var stops = 6
        package var busySeconds = 20
        package var ports = 3
        package var registrations = 100_000
        /// Seconds of changes, and of silence after them.
        package var registrySeconds = 20
        /// Seconds in which the minority is to assign nothing.
        package var splitSeconds = 10
        /// Whether there are network namespaces.
        package var hasNamespaces = true

        package init() {}

        /// For continuous integration: under a minute and a half.
        package static var short: Size {
            var size = Size()
            (size.kills, size.deaths, size.cuts, size.stops, size.busySeconds) = (8, 2, 1, 1, 4)
            (size.ports, size.registrations, size.registrySeconds, size.splitSeconds) = (1, 10_000, 3, 3)
            return size
        }
    }

    /// Runs the trial and judges it.
    /// - Parameters:
    ///   - programs: the folder with the programs.
    ///   - folder: where its logs go.
    ///   - say: told what happens, for people who watch.
    package func run(
        _ size: Size, programs: String, folder: String, say: @escaping @Sendable (String) -> Void
    ) async throws -> TrialOutcome {
        let plan = ClusterStage.Plan(programs: programs, folder: folder)
        var outcome = TrialOutcome(name: self.rawValue, title: self.title, folder: folder)
        let began = ContinuousClock.now
        switch self {
        case .leader: try await LeaderTrial(kills: size.kills).run(plan, &outcome, say: say)
        case .death: try await DeathTrial(size).run(plan, &outcome, say: say)
        case .starved: try await StarvedTrial(stops: size.stops, busySeconds: size.busySeconds).run(plan, &outcome, say: say)
        case .port: try await PortTrial(times: size.ports).run(plan, &outcome, say: say)
        case .split: try await SplitTrial(seconds: size.splitSeconds).run(plan, &outcome, say: say)
        case .registry: try await RegistryTrial(size).run(plan, &outcome, say: say)
        }
        let took = (ContinuousClock.now - began).components
        outcome.seconds = Double(took.seconds) + (Double(took.attoseconds) / 1e17).rounded() / 10
        return outcome
    }
}
