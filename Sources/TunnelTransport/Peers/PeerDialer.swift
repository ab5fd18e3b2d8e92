import Identity
import NIOCore
import TunnelWire

/// Dials a server's peers: control links, and a data session for each event loop.
package struct PeerDialer {
    private let eventLoop: any EventLoop
    private let tls: TLSContext
    private let party: LocalParty
    private let credential: DialerCredential
    private let pins: CertificatePins
    private let connectTimeout: TimeAmount
    private let handshakeLimit: TimeAmount
    private let localAddress: SocketAddress?

    /// - Parameters:
    ///   - party: this server, as it is now.
    ///   - credential: the cluster secret, see ``DialerCredential/clusterSecret(_:)``, or a certificate.
    ///   - pins: of the peers' certificates; none are needed with a secret.
    package init(
        eventLoop: any EventLoop, tls: TLSContext, party: LocalParty, credential: DialerCredential,
        pins: CertificatePins = CertificatePins([]), connectTimeout: TimeAmount = .seconds(2),
        handshakeLimit: TimeAmount = HandshakeDeadline.standard, localAddress: SocketAddress? = nil
    ) {
        self.eventLoop = eventLoop
        self.tls = tls
        self.party = party
        self.credential = credential
        self.pins = pins
        self.connectTimeout = connectTimeout
        self.handshakeLimit = handshakeLimit
        self.localAddress = localAddress
    }

    /// Dials a control link. `completion` is called once, on the event loop, where this must be called too; it has to start
    /// the link or close it.
    /// - Parameter vet: asked when the other end has said who it is, before anything is proved, and after ``PeerCheck``: nil to
    ///   go on, else what it is told.
    package func control(
        host: String, port: Int, pace: PeerPace = PeerPace(), vet: @escaping (Hello) -> Close? = { _ in nil },
        completion: @escaping (Result<PeerLink, HandshakeError>) -> Void
    ) {
        let eventLoop = self.eventLoop
        self.dialer(.peerControl).dial(host: host, port: port, vet: self.checked(vet)) { result in
            completion(
                result.map { dialed in
                    PeerLink(
                        dialed.link, peer: dialed.peer, isDialed: true, eventLoop: eventLoop, pace: pace, unread: dialed.unread)
                })
        }
    }

    /// Dials a link for the data session of this server's event loop `index`, a new session or the one of `ticket`, which has
    /// received so many bytes. `completion` is called once, on the event loop, where this must be called too.
    package func session(
        host: String, port: Int, loop index: Int, ticket: ResumeTicket? = nil, received: UInt64 = 0,
        vet: @escaping (Hello) -> Close? = { _ in nil }, completion: @escaping (Result<DialedLink, HandshakeError>) -> Void
    ) {
        self.dialer(.peerSession(loop: index)).dial(
            host: host, port: port, ticket: ticket, received: received, vet: self.checked(vet), completion: completion)
    }

    private func checked(_ vet: @escaping (Hello) -> Close?) -> (Hello) -> Close? {
        let party = self.party
        return { peer in PeerCheck.objection(to: peer, of: party) ?? vet(peer) }
    }

    private func dialer(_ purpose: LinkPurpose) -> LinkDialer {
        LinkDialer(
            eventLoop: self.eventLoop, tls: self.tls, party: self.party, credential: self.credential, pins: self.pins,
            connectTimeout: self.connectTimeout, handshakeLimit: self.handshakeLimit, localAddress: self.localAddress,
            purpose: purpose)
    }
}
