import DequeModule
import TunnelWire

/// What travels on a link.
enum Parcel: Sendable {
    case message(ClusterMessage)
    /// The sender has closed the link, or its machine did when the process ended.
    case finish(announced: Bool)
}

/// One control link with the data session beside it, from the first dial until both ends know that it is over.
///
/// Each direction has two lanes. A lane is a stream: bytes never overtake each other, they wait while the path is cut, and are
/// lost only with the link.
final class Link {
    struct Lane: Sendable {
        /// Nothing arrives before what was sent earlier.
        var lastArrival: Int64 = 0
        /// What would have arrived, had the path not been cut.
        var held: Deque<Parcel> = []
    }

    struct End: Sendable {
        let place: Int
        /// The process that has it.
        let life: Int
        var isUp = false
        var isClosed = false
        /// When the other end was last heard: its heartbeats are not played one by one.
        var heardAt: Int64
    }

    let serial: UInt64
    var dialler: End
    var acceptor: End
    /// From the dialler, then from the acceptor; of each, control, then data.
    private var lanes: (Lane, Lane, Lane, Lane) = (Lane(), Lane(), Lane(), Lane())
    /// What travels in this direction is lost: from the dialler, from the acceptor.
    var isReset = (false, false)

    init(serial: UInt64, dialler: End, acceptor: End) {
        self.serial = serial
        self.dialler = dialler
        self.acceptor = acceptor
    }

    func isDialler(_ place: Int) -> Bool { self.dialler.place == place }
    func other(_ place: Int) -> Int { self.isDialler(place) ? self.acceptor.place : self.dialler.place }

    subscript(end place: Int) -> End {
        get { self.isDialler(place) ? self.dialler : self.acceptor }
        set {
            if self.isDialler(place) { self.dialler = newValue } else { self.acceptor = newValue }
        }
    }

    subscript(from place: Int, lane: ClusterLane) -> Lane {
        get {
            switch (self.isDialler(place), lane) {
            case (true, .control): self.lanes.0
            case (true, .data): self.lanes.1
            case (false, .control): self.lanes.2
            case (false, .data): self.lanes.3
            }
        }
        _modify {
            switch (self.isDialler(place), lane) {
            case (true, .control): yield &self.lanes.0
            case (true, .data): yield &self.lanes.1
            case (false, .control): yield &self.lanes.2
            case (false, .data): yield &self.lanes.3
            }
        }
    }

    func isReset(from place: Int) -> Bool { self.isDialler(place) ? self.isReset.0 : self.isReset.1 }

    /// What is on its way from there never arrives.
    func reset(from place: Int) {
        if self.isDialler(place) { self.isReset.0 = true } else { self.isReset.1 = true }
    }

    /// Neither end knows of it any more.
    var isOver: Bool { self.dialler.isClosed && self.acceptor.isClosed }
}
