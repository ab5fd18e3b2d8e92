import ChaosCore

#if canImport(Glibc)
import Glibc
#endif

/// Starts programs and ends them, and knows how each of their processes fared.
protocol Keeper: Sendable {
    /// Starts it; returns when the process exists (where it is supervised: when it says that it is ready).
    func start(_ name: String) async throws
    /// SIGKILL; returns when the process is gone. Where it is supervised, the supervisor may start it again.
    func kill(_ name: String) async
    func signal(_ name: String, _ number: Int32) async
    /// Ends it in order; returns when it is gone.
    func stop(_ name: String) async throws
    /// From now on the end of its present process is no accident.
    func expectEnd(of name: String) async
    /// Nil: it does not run.
    func pid(_ name: String) async -> pid_t?
    /// All processes so far, in the order of their starts.
    func lives() async -> [ProcessLife]
    /// Whether somebody starts again what has ended.
    var isSupervising: Bool { get }
}
