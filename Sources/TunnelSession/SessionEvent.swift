import NIOCore
import TunnelWire

/// What the bytes of a link mean for those who use the session.
package enum SessionEvent: Sendable {
    /// The peer wants a stream; it has been told ACCEPTED. Answer with `opened` or `refuse`.
    case open(StreamID, Open)
    /// The peer has our OPEN and works on it.
    case accepted(StreamID)
    /// Our stream is open: data may flow.
    case opened(StreamID)
    /// Our stream will not be; it is forgotten here.
    case refused(StreamID, Refusal)
    /// Bytes for the local program. Report with `consumed` when it has taken them.
    case data(StreamID, ByteBuffer)
    /// The peer sends no more on the stream.
    case finished(StreamID)
    /// The stream is over at once; it is forgotten here.
    case reset(StreamID, ResetCode)
    case control(ControlMessage)
    /// The peer closes the link.
    case closed(Close)
}

/// What the passing of time alone brought about.
package enum TimerEvent: Equatable, Sendable {
    /// Nothing was heard for the heartbeat timeout: close the link, the session waits for another.
    case linkSilent
    /// No new link came within the resume window: the session is over.
    case resumeExpired
}
