import ClusterCore
import TunnelWire

/// After healing: nobody who runs is declared dead, and all agree.
struct ConvergenceCheck: Sendable {
    /// From when on everything has to be quiet; nil: faults are going on.
    var quietSince: Int64?

    func dead(_ name: ServerName, saidBy other: ServerName, at time: Int64) -> String? {
        guard let quietSince, time >= quietSince else { return nil }
        return "\(other) declares \(name) dead, which runs and can be reached"
    }
}
