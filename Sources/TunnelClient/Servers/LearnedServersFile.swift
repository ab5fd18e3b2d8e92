import Dispatch
import FoundationEssentials
import Identity
import Logging
import Settings
import Synchronization

/// What servers announced, kept across restarts in the state directory: a client whose configured servers are all gone
/// still finds the others. It is a cache; whatever is wrong with it, the client goes on without.
final class LearnedServersFile: Sendable {
    /// The largest file written, in bytes; less than what `StateFile` reads.
    static let maximumSize = 192 * 1_024

    let path: String
    /// What is still to be written; nil when nothing is.
    private let pending = Mutex<[LearnedServers]?>(nil)
    private let queue = DispatchQueue(label: "gotunnel.learned-servers")

    /// The file `servers.json` of a state directory.
    init(directory: String) { self.path = "\(directory)/servers.json" }

    /// What the file holds, as far as it is credible at this time (seconds since 1970, UTC).
    /// - Returns: nothing and no problem when there is no file; a problem is one line.
    func load(at now: Int64) -> (learned: [LearnedServers], problem: String?) {
        do throws(IdentityProblem) {
            // It holds addresses, no secrets, and who writes to it can only make this client dial in vain.
            guard let file = try StateFile.read(self.path, as: .open) else { return ([], nil) }
            switch LearnedServersDocument.decode(file.bytes) {
            case .success(let learned): return (learned.filter { $0.isCredible(at: now) }, nil)
            case .failure(let fault):
                return ([], "\(self.path) \(fault.problem): starting with the configured servers alone; it will be replaced")
            }
        } catch {
            return ([], "\(error); starting with the configured servers alone")
        }
    }

    /// Replaces the file, all or nothing. What would make it too large is left out, the longest unheard first.
    func write(_ learned: [LearnedServers]) throws(IdentityProblem) {
        try StateFile.write(LearnedServersDocument.encode(learned, maximumSize: Self.maximumSize), to: self.path, mode: 0o600)
    }

    /// Writes the file beside the caller, who must not wait for a disk. Of what is asked for meanwhile, the last is written.
    func save(_ learned: [LearnedServers], logger: Logger) {
        let isScheduled = self.pending.withLock { pending in
            defer { pending = learned }
            return pending != nil
        }
        guard !isScheduled else { return }
        self.queue.async {
            let latest = self.pending.withLock { pending in
                defer { pending = nil }
                return pending
            }
            guard let latest else { return }
            do throws(IdentityProblem) {
                try self.write(latest)
            } catch {
                logger.warning("cannot remember the servers learned", metadata: ["reason": "\(error)"])
            }
        }
    }

    /// Returns when everything that was to be saved is written.
    func waitUntilSaved() { self.queue.sync {} }
}
