import NIOCore
import TunnelWire

/// Everything that a session needs to go on in another process with the same peer, who only sees a lost link and a resume.
///
/// What belongs to a link or to a clock is not in it: heartbeats, acknowledgements that were due, the order of turns, rates.
///
/// **What the sockets still have to take** is not in it either. For every stream, `outstanding` says how many bytes were
/// delivered by `data` events and not reported by `consumed`. Whoever freezes the session keeps those of them that the kernel
/// has not taken (the *tail*) beside it. After the thaw the driver
/// 1. reports `outstanding` less the length of the tail as `consumed` at once: the kernel has taken those, and nobody said so;
/// 2. writes the tail before any byte of a new `data` event, and reports it as `consumed` as the kernel takes it.
///
/// A tail longer than `outstanding` cannot be: such a stream is to be reset.
package struct FrozenSession: Equatable, Sendable {
    package var side: SessionSide
    /// Bytes of sequenced frames received.
    package var received: UInt64
    /// The sequenced frame of which only a part has been received.
    package var incomplete: IncompleteFrame?
    /// Bytes of sequenced frames sent, repeats not counted.
    package var sent: UInt64
    /// How many of them the peer has. It may lie inside the first frame of `replay`.
    package var acknowledged: UInt64
    /// The frames that were sent and not acknowledged, each one whole. All but DATA count as control frames.
    package var replay: [ByteBuffer]
    /// Control frames that were not sent, OPENs among them.
    package var control: [ByteBuffer]
    package var nextStream: StreamID
    package var highestPeerStream: StreamID
    package var isDraining: Bool
    package var isPeerDraining: Bool
    /// What the peer said of its resume window.
    package var announcedWindow: Duration?
    /// What this end says of its own.
    package var ownWindow: Duration?
    /// It was not said to the peer yet.
    package var isWindowUnsaid: Bool
    package var resumes: Int
    package var replayedBytes: UInt64
    /// In the order of their ids.
    package var streams: [Stream]

    /// How far the opening of a stream has come. The numbers are those of the file.
    package enum Phase: UInt8, Sendable {
        /// OPEN was sent, or waits among the control frames.
        case opening = 1
        /// The other end works on the OPEN.
        case accepted = 2
        /// The peer's OPEN was accepted and its target is being dialled: dial again, then say `opened` or `refuse`.
        case answering = 3
        case open = 4
    }

    /// One stream.
    package struct Stream: Equatable, Sendable {
        package var id: StreamID
        package var phase: Phase
        /// Bytes of the local program that were not sent, in the buffers they were read into.
        package var queued: [ByteBuffer] = []
        /// Bytes that may still be sent.
        package var sendCredit = Limits.initialCredit
        /// The most that the stream may hold here, in bytes.
        package var window = Limits.initialCredit
        /// Bytes that the peer may still send. What is left of the window has been taken since credit was last given.
        package var remaining = Limits.initialCredit
        /// Bytes delivered and not reported as `consumed`.
        package var outstanding = 0
        /// The local program sends no more.
        package var isLocalFinished = false
        /// And FIN is sent, or waits among the control frames.
        package var isFinSent = false
        package var isRemoteFinished = false

        package init(id: StreamID, phase: Phase) {
            self.id = id
            self.phase = phase
        }
    }
}

/// A frozen session that cannot be, or parts of one that do not fit together. The session is lost; its streams are to be reset.
package struct ThawError: Error, Equatable, Sendable, CustomStringConvertible {
    /// One line, printable.
    package let description: String

    init(_ fault: String) {
        self.description = PrintableText.clean("a frozen session cannot go on, its streams are reset: \(fault)", limit: 300)
    }
}
