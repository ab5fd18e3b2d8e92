import TunnelWire

/// Why a session is over. Its streams have been reset by then.
package enum SessionEnd: Equatable, Sendable, CustomStringConvertible {
    /// The peer said good-bye, or refused to continue.
    case closedByPeer(Close)
    /// The peer broke the protocol.
    case violation(WireError)
    /// No new link within the resume window.
    case resumeExpired
    /// This side ended it.
    case closedHere(CloseCode, String)
    /// Nobody is there any more: dialling was refused twice, or another instance answers, or it knows of no session.
    case peerGone

    package var description: String {
        switch self {
        case .closedByPeer(let close): "closed by the other end (\(close.reason))"
        case .violation(let error): "the other end broke the protocol (\(error))"
        case .resumeExpired: "no new link within the resume window"
        case .closedHere(_, let reason): reason
        case .peerGone: "the server that held it is gone"
        }
    }

    /// What the other end is told on a link that is still there.
    var farewell: Close? {
        switch self {
        case .closedByPeer, .resumeExpired, .peerGone: nil
        case .violation(let error): Close(.protocolViolation, error.description)
        case .closedHere(let code, let reason): Close(code, reason)
        }
    }
}
