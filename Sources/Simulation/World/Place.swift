import ClusterCore
import DequeModule
import Timing
import TunnelWire

/// What runs of a server: in one place, for it is large and is asked and told something all the time.
final class Process {
    var node: ClusterNode

    init(_ node: ClusterNode) { self.node = node }

    /// When the timer is due that the node wants.
    var deadline: Moment? { self.node.deadlineInPlace() }
}

extension ClusterNode {
    /// As something that might change the node it is read where it stands, without a copy of the whole.
    fileprivate mutating func deadlineInPlace() -> Moment? { self.deadline }
}

/// One machine: its clock and disk, and the server that runs on it or does not.
struct Place {
    let index: Int
    let name: ServerName
    let address: PeerAddress
    var clock: SimulatedClock
    var disk: SimulatedDisk
    /// How many processes there have been.
    var life = 0
    /// Its process, if there is one.
    var process: Process?
    var instance = WireID(high: 0, low: 0)
    /// False: the machine itself is dead, nothing answers.
    var isMachineUp = true
    var isPaused = false
    /// It says good-bye and stops soon.
    var isLeaving = false
    /// What arrived while it was paused.
    var backlog: Deque<WorldEvent> = []
    /// When the timer is due that counts.
    var timerAt: Int64?
    /// How often in a row a timer was due again at once.
    var spins = 0
    /// How long a write takes.
    var writeTime = Place.calmWrites
    static let calmWrites: ClosedRange<Duration> = .milliseconds(1) ... .milliseconds(5)
    /// The next write fails.
    var failsNextWrite = false
    /// An old copy of the disk was put back: its map of ports, settled up to here, is not to be trusted, and nothing short of a
    /// newer one shows it. Until then nothing is bound: that is a promise which no such copy can keep.
    var untrusted: Ballot?
    /// Listeners on mapped ports.
    var bound: [UInt16: MappedPort] = [:]
    /// The highest token that was seen for a port: a lower one is refused.
    var highest: [UInt16: Ballot] = [:]
    /// Listeners that are being closed.
    var closing: [UInt16: Ballot] = [:]

    init(index: Int, clock: SimulatedClock, disk: SimulatedDisk) {
        self.index = index
        self.name = "s\(index)"
        self.address = PeerAddress(host: "10.0.0.\(index + 1)", port: 17_000)
        self.clock = clock
        self.disk = disk
    }

    var isRunning: Bool { self.process != nil }
    /// A copy, to look at.
    var node: ClusterNode? { self.process?.node }
    var voter: Voter { Voter(name: self.name, id: self.disk.id) }

    /// The process is gone, with all that it held in memory.
    mutating func clear() {
        self.process = nil
        self.isPaused = false
        self.isLeaving = false
        self.backlog = []
        self.timerAt = nil
        self.spins = 0
        self.bound = [:]
        self.highest = [:]
        self.closing = [:]
        self.failsNextWrite = false
    }
}
