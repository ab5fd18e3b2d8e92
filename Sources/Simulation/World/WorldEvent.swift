import ClusterCore
import TunnelWire

/// What can happen in a simulated world.
enum WorldEvent: Sendable {
    /// A node's deadline, if it still is the one planned.
    case timer(place: Int, at: Int64)
    /// Something comes to the end of its way.
    case arrival(link: LinkReference, from: Int, ClusterLane, Parcel)
    /// It has arrived, and the process gets to read it.
    case read(link: LinkReference, from: Int, Parcel)
    /// A way is open again: what was held arrives.
    case flush(link: LinkReference, from: Int)
    /// The handshake is over at this end.
    case linkUp(link: LinkReference, at: Int)
    /// An end gets to know that the link is gone.
    case linkEnd(link: LinkReference, at: Int, LinkEnding)
    case dial(from: Int, to: Int, at: Int64)
    case refused(from: Int, life: Int, by: Int)
    /// Every end of every link looks whether it hears the other.
    case watch
    /// The disk has done the write under way.
    case written(place: Int, life: Int)
    case resume(place: Int)
    case start(place: Int, DiskChoice)
    case stop(place: Int, life: Int)
    case mend(cut: Int)
    case calmDisk(place: Int)
    /// The process is told this.
    case tell(place: Int, life: Int, ClusterEvent)
    /// The port's listener is closed, and the process is told.
    case closed(place: Int, life: Int, port: UInt16, token: Ballot)
    /// The next fault, the next deeds of clients and of operators.
    case fault
    case clients
    /// Clients ask a certain server and any other in the same moment.
    case rush(at: Int)
    case operators
}

/// A link, unless its place has been taken by another.
struct LinkReference: Sendable, Equatable {
    var slot: Int
    var serial: UInt64
}

/// What a server finds when it starts.
enum DiskChoice: Int, Sendable, CaseIterable {
    case own, empty, stale
}
