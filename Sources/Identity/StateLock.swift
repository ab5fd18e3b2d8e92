#if canImport(Glibc)
import Glibc
#endif

/// The claim of one process on a state directory, held until it ends: two processes with one installation would evict
/// each other for ever.
package final class StateLock: Sendable {
    /// In the state directory; empty, it exists to be locked.
    package static let fileName = "lock"

    private let descriptor: CInt

    private init(descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(self.descriptor) }

    /// Claims `directory`, making it with mode 0700 if it is missing. Nil when another process has it.
    package static func acquire(directory: String) throws(IdentityProblem) -> StateLock? {
        try StateFile.makeDirectory(directory)
        let path = "\(directory)/\(Self.fileName)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw IdentityProblem(
                .system, at: path, "cannot be opened: \(String(cString: strerror(errno)))",
                mend: "make the state directory writable for this user, or name another with state_dir")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        return StateLock(descriptor: descriptor)
    }
}
