import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// How an attempt to open a stream ended.
package enum OpenOutcome: Equatable, Sendable {
    case opened
    case refused(Refusal)
    case reset(ResetCode)
}

/// What is heard of an attempt to open a stream.
package enum OpenProgress: Equatable, Sendable {
    /// The other end has the OPEN and dials.
    case accepted
    /// The last that is heard of it.
    case ended(OpenOutcome)
}

/// A stream with its local connection.
struct LocalStream {
    /// Nil while the local side of a stream that the peer opened is being dialled, and before a stream that was asked
    /// for here is open.
    var socket: StreamSocket?
    /// Told how the opening goes, until it ended; only for streams opened here.
    var report: ((OpenProgress) -> Void)?
    /// What was asked for.
    let open: Open
    let isOpenedHere: Bool
    let since: Moment
    var isOpen = false

    var destination: Destination { self.open.destination }
    var source: String { self.open.source }
}

/// A stream as status shows it.
package struct StreamSnapshot: Sendable {
    package var id: StreamID
    package var destination: Destination
    package var source: String
    package var isOpenedHere: Bool
    package var isOpen: Bool
    /// How long it has lived.
    package var age: Duration
    /// Bytes read from the local program.
    package var bytesFromLocal: UInt64
    /// Bytes written to the local program.
    package var bytesToLocal: UInt64
}

/// A session as status shows it.
package struct SessionSnapshot: Sendable {
    package var isAttached: Bool
    package var isSuspect: Bool
    /// The other end drains: it takes no new streams.
    package var isPeerDraining: Bool
    package var roundTrip: Duration?
    package var streams: Int
    package var replayBytes: Int
    package var heldBytes: Int
    package var resumes: Int
    package var replayedBytes: UInt64
    /// Bytes of stream data and control frames over all links, repeated ones not counted.
    package var bytesReceived: UInt64
    package var bytesSent: UInt64
}
