#if canImport(Glibc)
import Glibc
#endif

/// The process's limit of open files.
package enum OpenFiles {
    /// Raises the soft limit to the hard one: many connections at a time are what traffic is for.
    package static func raiseLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
