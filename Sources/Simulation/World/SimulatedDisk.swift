import ClusterCore
import TunnelWire

/// What one server has on disk: one record, written whole. Writes reach the disk in order; one that waits is overtaken by a
/// newer one.
struct SimulatedDisk: Sendable {
    struct Write: Sendable {
        var state: StoredState
        var ticket: UInt64
    }

    /// The id of the state directory.
    private(set) var id: WireID
    /// What a process that starts now would read.
    private(set) var durable: StoredState?
    private(set) var writing: Write?
    private var waiting: Write?
    /// An older record of the same directory, as a backup would have it.
    private(set) var old: StoredState?

    init(id: WireID) { self.id = id }

    /// True when the disk was idle: the write begins now.
    mutating func write(_ write: Write) -> Bool {
        guard self.writing != nil else {
            self.writing = write
            return true
        }
        self.waiting = write
        return false
    }

    /// The write under way is durable. Returns its ticket, and whether another one begins.
    mutating func finish() -> (ticket: UInt64, goesOn: Bool)? {
        guard let done = self.writing else { return nil }
        self.durable = done.state
        self.writing = self.waiting
        self.waiting = nil
        return (done.ticket, self.writing != nil)
    }

    /// The process is gone. What was being written is on disk or is not; what waited is lost.
    mutating func crash(keepsWrite: Bool) {
        if keepsWrite, let write = self.writing { self.durable = write.state }
        self.writing = nil
        self.waiting = nil
    }

    mutating func keepCopy() { self.old = self.durable }

    /// Puts another record in the place of the present one.
    mutating func replace(with state: StoredState) { self.durable = state }

    /// A new, empty state directory.
    mutating func wipe(id: WireID) { self = SimulatedDisk(id: id) }
}
