import Identity
import NIOCore
import NIOPosix
import TunnelWire

/// Dials links of one client: TCP, TLS, handshake.
package struct LinkDialer {
    private let eventLoop: any EventLoop
    private let tls: TLSContext
    private let party: LocalParty
    private let credential: DialerCredential
    private let pins: CertificatePins
    private let connectTimeout: TimeAmount

    package init(
        eventLoop: any EventLoop, tls: TLSContext, party: LocalParty, credential: DialerCredential, pins: CertificatePins,
        connectTimeout: TimeAmount = .seconds(5)
    ) {
        self.eventLoop = eventLoop
        self.tls = tls
        self.party = party
        self.credential = credential
        self.pins = pins
        self.connectTimeout = connectTimeout
    }

    /// Dials `host:port`, a name being resolved anew each time. `completion` is called once, on the event loop, where
    /// this must be called too. With `ticket`, the session it is for is to go on; `received` is its count.
    package func dial(
        host: String, port: Int, ticket: ResumeTicket? = nil, received: UInt64 = 0,
        completion: @escaping (Result<DialedLink, HandshakeError>) -> Void
    ) {
        let seen = SeenCertificate()
        let setup = DialerHandler.Setup(
            party: self.party, credential: self.credential, pins: self.pins, ticket: ticket, received: received)
        let once = CallOnce(completion)
        let handler = NIOLoopBound(
            DialerHandler(setup: setup, seen: seen) { once.call($0) }, eventLoop: self.eventLoop)
        let tls = self.tls
        let hostName = Placement.hostName(client: self.party.name)
        let bootstrap = ClientBootstrap(group: self.eventLoop)
            .linkOptions()
            .connectTimeout(self.connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(tls.dialerHandler(hostName: hostName, seen: seen))
                    try operations.addHandler(handler.value)
                }
            }
        let connected: EventLoopFuture<any Channel> =
            if let address = try? SocketAddress(ipAddress: host, port: port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: host, port: port)
            }
        connected.assumeIsolated().whenFailure { error in
            once.call(.failure(HandshakeError(.disconnected, ConnectFailure(error).reason)))
        }
    }
}

/// A completion that may be reached on two ways and is called on the first.
private final class CallOnce {
    private var completion: ((Result<DialedLink, HandshakeError>) -> Void)?

    init(_ completion: @escaping (Result<DialedLink, HandshakeError>) -> Void) { self.completion = completion }

    func call(_ result: Result<DialedLink, HandshakeError>) { self.completion.take()?(result) }
}

extension SessionDriver {
    /// Carries the session over a link that was dialled.
    package func attach(_ dialed: DialedLink) throws(WireError) {
        try self.attach(dialed.link, peerReceived: dialed.welcome.received, unread: dialed.unread)
    }
}

extension DialedLink {
    /// The link is not wanted after all.
    package func discard(_ close: Close) { self.link.close(close) }
}
