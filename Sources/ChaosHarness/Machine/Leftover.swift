#if canImport(Glibc)
import Glibc
#endif

/// A thing that outlives the run that made it, should that be killed.
package enum Leftover: Sendable, Equatable, Codable {
    /// A process with all of its group, which it leads.
    case group(pid_t, start: UInt64)
    /// A network namespace that iproute2 knows by this name.
    case namespace(String)
    /// A file system mounted here, with this as its source: what anybody else has mounted there stays.
    case mount(String, source: String)
    /// A control group's folder; processes in it that are not the run's own go on in the group above.
    case cgroup(String)
    /// What a file of the kernel said before it was changed.
    case setting(String, was: String)
    /// A stopped process that is not the run's own.
    case stopped(pid_t, start: UInt64)
    case folder(String)
    case socket(String)

    /// The order in which they go: what holds others in use first.
    var turn: Int {
        switch self {
        case .group, .stopped: 0
        case .setting, .mount: 1
        case .namespace, .cgroup: 2
        case .folder, .socket: 3
        }
    }
}
