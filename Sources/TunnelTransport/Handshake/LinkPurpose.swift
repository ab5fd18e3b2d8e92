/// What a dialer wants a link for.
enum LinkPurpose: Equatable {
    /// A client's session.
    case client
    /// A server's control link to a peer.
    case peerControl
    /// A server's data session with a peer, for its own event loop of this index.
    case peerSession(loop: Int)

    /// What the TLS greeting says, so that the acceptor knows the event loop.
    func hostName(of party: LocalParty) -> String {
        switch self {
        case .client: Placement.hostName(client: party.name)
        case .peerControl: Placement.controlHostName
        case .peerSession(let loop): Placement.hostName(loop: loop)
        }
    }
}
