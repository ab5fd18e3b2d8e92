import Identity
import NIOCore
import NIOPosix
import TunnelWire

/// Dials links of one client, or of one server to its peers: TCP, TLS, handshake.
package struct LinkDialer {
    private let eventLoop: any EventLoop
    private let tls: TLSContext
    private let party: LocalParty
    private let credential: DialerCredential
    private let pins: CertificatePins
    private let connectTimeout: TimeAmount
    private let handshakeLimit: TimeAmount
    private let localAddress: SocketAddress?
    private let purpose: LinkPurpose

    /// - Parameter localAddress: where connections come from; nil: the kernel chooses.
    package init(
        eventLoop: any EventLoop, tls: TLSContext, party: LocalParty, credential: DialerCredential, pins: CertificatePins,
        connectTimeout: TimeAmount = .seconds(5), handshakeLimit: TimeAmount = HandshakeDeadline.standard,
        localAddress: SocketAddress? = nil
    ) {
        self.init(
            eventLoop: eventLoop, tls: tls, party: party, credential: credential, pins: pins, connectTimeout: connectTimeout,
            handshakeLimit: handshakeLimit, localAddress: localAddress, purpose: .client)
    }

    init(
        eventLoop: any EventLoop, tls: TLSContext, party: LocalParty, credential: DialerCredential, pins: CertificatePins,
        connectTimeout: TimeAmount, handshakeLimit: TimeAmount, localAddress: SocketAddress?, purpose: LinkPurpose
    ) {
        self.eventLoop = eventLoop
        self.tls = tls
        self.party = party
        self.credential = credential
        self.pins = pins
        self.connectTimeout = connectTimeout
        self.handshakeLimit = handshakeLimit
        self.localAddress = localAddress
        self.purpose = purpose
    }

    /// Dials `host:port`, a name being resolved anew each time. `completion` is called once, on the event loop, where
    /// this must be called too. With `ticket`, the session it is for is to go on; `received` is its count.
    /// - Parameters:
    ///   - patience: bounds the attempt to connect further.
    ///   - vet: asked when the server has said who it is, before anything is proved: nil to go on, else what it is told
    ///     instead. What it says may not be true at that point.
    package func dial(
        host: String, port: Int, ticket: ResumeTicket? = nil, received: UInt64 = 0, patience: TimeAmount? = nil,
        vet: @escaping (Hello) -> Close? = { _ in nil }, completion: @escaping (Result<DialedLink, HandshakeError>) -> Void
    ) {
        let setup = DialerHandler.Setup(
            party: self.party, credential: self.credential, pins: self.pins, ticket: ticket, received: received,
            limit: self.handshakeLimit, purpose: self.purpose, vet: NIOLoopBound(vet, eventLoop: self.eventLoop))
        let tls = self.tls
        let hostName = self.purpose.hostName(of: self.party)
        var bootstrap = ClientBootstrap(group: self.eventLoop)
            .linkOptions()
            .connectTimeout(patience.map { min($0, self.connectTimeout) } ?? self.connectTimeout)
            .channelInitializer { channel in
                // A name may lead to several addresses, and several connections are tried then: each has handlers of its own.
                channel.eventLoop.makeCompletedFuture {
                    let seen = SeenCertificate()
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(tls.dialerHandler(hostName: hostName, seen: seen))
                    try operations.addHandler(DialerHandler(setup: setup, seen: seen))
                }
            }
        if let localAddress = self.localAddress { bootstrap = bootstrap.bind(to: localAddress) }
        let connected: EventLoopFuture<any Channel> =
            if let address = try? SocketAddress(ipAddress: host, port: port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: host, port: port)
            }
        connected.assumeIsolated().whenComplete { result in
            do {
                try result.get().pipeline.syncOperations.handler(type: DialerHandler.self).whenDone(completion)
            } catch {
                let failure = ConnectFailure(error)
                var handshakeError = HandshakeError(.disconnected, failure.reason)
                handshakeError.isConnectionRefused = failure.code == .connectionRefused
                completion(.failure(handshakeError))
            }
        }
    }
}

extension SessionDriver {
    /// Carries the session over a link that was dialled.
    ///
    /// The session must have had no link since it was dialled: what another link brought meanwhile would come again.
    package func attach(_ dialed: DialedLink) throws(WireError) {
        guard dialed.received == self.received else {
            throw WireError(.impossibleCount, "\(dialed.received) bytes were announced as received, not \(self.received)")
        }
        try self.attach(dialed.link, peerReceived: dialed.welcome.received, unread: dialed.unread)
    }
}

extension DialedLink {
    /// The link is not wanted after all.
    package func discard(_ close: Close) { self.link.close(close) }
}
