import NIOCore
import TunnelWire

/// What a server does with the data sessions of its peers. One per event loop, bound to it.
package protocol PeerHost: AnyObject {
    /// Finds the session that the peer asks for, or makes one.
    func session(for peer: AuthenticatedPeer) -> SessionDecision
}

/// What a server does with the control links that its peers dialled. Bound to the event loop of the control plane.
package protocol ControlHost: AnyObject {
    /// The link stands. It has to be started or closed before this returns; otherwise it is closed.
    func control(link: PeerLink, from peer: AuthenticatedPeer)
}

/// Where a server takes its peers.
package struct PeerEntrance: Sendable {
    /// On the control plane's own event loop, which no traffic shares.
    package let control: NIOLoopBound<any ControlHost>
    /// One for each event loop, in the order of the server's `loops`.
    package let hosts: [NIOLoopBound<any PeerHost>]
    /// How often, and how long, the accepted control links wait.
    package let pace: PeerPace

    package init(control: NIOLoopBound<any ControlHost>, hosts: [NIOLoopBound<any PeerHost>], pace: PeerPace = PeerPace()) {
        self.control = control
        self.hosts = hosts
        self.pace = pace
    }
}
