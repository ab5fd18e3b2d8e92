import ChaosCore
import NIOCore

/// What one host's applications do.
package struct LoadPlan: Codable, Sendable, Equatable {
    /// Whose traffic it is, in records and ids.
    package var who: String
    /// Where an apiserver answers, `HOST:PORT`: a worker's forward, or a stand-in itself. Nil: nothing is asked of one.
    package var apiserver: String?
    /// Where two-way streams lead through mapped ports, `HOST:PORT` each.
    package var mapped: [String] = []
    /// How many to each of those.
    package var streamsPerMapped = 1
    /// Where this host's kubelet listens for such streams.
    package var kubelet: String?
    package var traffic: TrafficLayout

    package init(who: String, traffic: TrafficLayout) {
        self.who = who
        self.traffic = traffic
    }
}
