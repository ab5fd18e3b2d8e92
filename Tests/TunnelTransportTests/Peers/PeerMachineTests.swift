import Identity
import NIOCore
import Testing
import Timing
import TunnelWire

@testable import TunnelTransport

/// The handshake of peers without sockets: a proof is for one role, and one purpose.
@Suite struct PeerHandshakeMachineTests {
    private let certificate = CertificateFingerprint(ofDER: [1, 2, 3])

    private func party(_ role: WireRole, name: String, seed: UInt64) -> LocalParty {
        var rng = SeededGenerator(seed: seed)
        return LocalParty(
            role: role, name: name, installation: .random(using: &rng), instance: .random(using: &rng), software: "tests")
    }

    private func acceptor() throws -> AcceptorHandshake {
        var rng = SeededGenerator(seed: 3)
        let token = try Token(TunnelBed.tokenText)
        let ring = try TokenRing([TokenRing.Entry(token)], for: .clientToken, using: &rng)
        let peers = try PeerCredentials(secrets: [Token(PeerEnd.secret)], distinctFrom: [token], using: &rng)
        return AcceptorHandshake(
            party: self.party(.server, name: "server-b", seed: 2), authenticator: Authenticator(tokens: ring, peers: peers),
            certificate: self.certificate, dialerCertificate: nil, address: "192.0.2.1:5",
            nonce: [UInt8](repeating: 2, count: 32))
    }

    private func dialer(_ role: WireRole, isControlLink: Bool = false, ticket: ResumeTicket? = nil) throws -> DialerHandshake {
        DialerHandshake(
            party: self.party(role, name: "server-a", seed: 1), credential: .clusterSecret(try Token(PeerEnd.secret)),
            certificate: self.certificate, ticket: ticket, received: 0, nonce: [UInt8](repeating: 1, count: 32),
            isControlLink: isControlLink)
    }

    private func frame(_ bytes: ByteBuffer) throws -> DecodedFrame {
        var decoder = FrameDecoder()
        decoder.feed(bytes)
        guard let frame = try decoder.next() else { throw Overdue(description: "no frame") }
        return frame
    }

    private func proof(_ dialer: inout DialerHandshake, to acceptor: inout AcceptorHandshake) throws -> DecodedFrame {
        _ = try acceptor.receive(try self.frame(dialer.start()))
        guard case .meet = try dialer.receive(try self.frame(acceptor.start())) else { throw Overdue(description: "nobody met") }
        return try self.frame(try dialer.prove())
    }

    private func failure(_ body: () throws -> Void) -> HandshakeError? {
        do {
            try body()
            return nil
        } catch {
            return error as? HandshakeError
        }
    }

    /// Everything but the role, or the kind of link, is alike: the proof of the one is none of the other.
    @Test func aProofIsForOneRoleAndOneKindOfLink() throws {
        var (peer, asPeer) = (try self.dialer(.server), try self.acceptor())
        let proof = try self.proof(&peer, to: &asPeer)
        var (client, asClient) = (try self.dialer(.client), try self.acceptor())
        _ = try asClient.receive(try self.frame(client.start()))
        #expect(self.failure { _ = try asClient.receive(proof) }?.failure == .authentication)
        var (control, asControl) = (try self.dialer(.server, isControlLink: true), try self.acceptor())
        _ = try asControl.receive(try self.frame(control.start()))
        #expect(self.failure { _ = try asControl.receive(proof) }?.failure == .authentication)
        guard case .authenticated(let authenticated) = try asPeer.receive(proof) else {
            return #expect(Bool(false), "the proof was good")
        }
        #expect(authenticated.hello.role == .server && authenticated.token?.id == "5ec2e701")
        (client, asClient) = (try self.dialer(.client), try self.acceptor())
        #expect(try self.proof(&client, to: &asClient) != proof)
    }

    @Test func aControlLinkHasNoSession() throws {
        var (dialer, acceptor) = (try self.dialer(.server, isControlLink: true), try self.acceptor())
        _ = try acceptor.receive(try self.proof(&dialer, to: &acceptor))
        let secret = [UInt8](repeating: 9, count: SessionSecret.length)
        for (secret, isRight) in [([], true), (secret, false)] {
            var copy = dialer
            let welcome = Welcome(session: WireID(high: 0, low: 0), secret: secret, resumed: false, received: 0)
            var bytes = try #require(acceptor.welcome(welcome, secret: nil))
            let proof = bytes.readSlice(length: Limits.frameHeader + 34)
            _ = try copy.receive(try self.frame(try #require(proof)))
            let error = self.failure { _ = try copy.receive(try self.frame(bytes)) }
            #expect((error == nil) == isRight)
        }
        let ticket = ResumeTicket(
            server: self.party(.server, name: "server-b", seed: 2).instance, session: WireID(high: 1, low: 1),
            secret: try #require(SessionSecret(secret)))
        let resuming = try self.dialer(.server, isControlLink: true, ticket: ticket)
        var other = try self.acceptor()
        #expect(self.failure { _ = try other.receive(try self.frame(resuming.start())) }?.failure == .malformed)
    }

    @Test func aSecretMayNotBeAClientsToken() throws {
        var rng = SeededGenerator(seed: 1)
        let token = try Token(TunnelBed.tokenText)
        #expect(throws: TokenRingError.servesTwoPurposes(id: token.id)) {
            _ = try PeerCredentials(secrets: [token], distinctFrom: [token], using: &rng)
        }
    }

    @Test func everyObjectionFitsAReason() {
        let long = String(repeating: "a", count: 63) + "." + String(repeating: "b", count: 63)
        var own = self.party(.server, name: long, seed: 1)
        var other = self.party(.server, name: "\(long).c", seed: 2)
        (own.cluster, other.cluster) = (String(repeating: "1", count: 32), String(repeating: "2", count: 32))
        let hello = other.hello(method: .token, tokenID: "", nonce: [], resume: nil)
        let reason = PeerCheck.objection(to: hello, of: own)?.reason
        #expect(reason?.hasSuffix("or join with an empty state_dir") == true, "\(reason ?? "none")")
        other.cluster = ""
        #expect(PeerCheck.objection(to: other.hello(method: .token, tokenID: "", nonce: [], resume: nil), of: own) == nil)
    }
}

/// The lane of gossip, without a session.
@Suite struct GossipLaneTests {
    /// Passes what `from` has to say on, until neither says anything; the messages that `to` completed.
    private func exchange(_ from: inout GossipLane, _ to: inout GossipLane) throws -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        var isBusy = true
        while isBusy {
            isBusy = false
            while let gossip = from.next() {
                isBusy = true
                if let message = try to.take(gossip) { messages.append(message) }
            }
            while let gossip = to.next() {
                isBusy = true
                #expect(try from.take(gossip) == nil)
            }
        }
        return messages
    }

    @Test(arguments: UInt64(1)...10) func messagesComeOutAsTheyWentIn(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        var (near, far) = (GossipLane(), GossipLane())
        for _ in 0..<10 {
            let sizes = (0..<8).map { _ in Int.random(in: 0...200_000, using: &rng) } + [0, ClusterLimits.fragment]
            let sent = sizes.map { ByteBuffer(repeating: UInt8.random(in: 0...255, using: &rng), count: $0) }
            for message in sent {
                let isTaken = near.enqueue(message)
                #expect(isTaken)
            }
            #expect(try self.exchange(&near, &far) == sent)
            #expect(near.heldBytes == 0 && far.heldBytes == 0)
        }
    }

    @Test func withoutCreditNothingGoesOut() throws {
        var (near, far) = (GossipLane(), GossipLane())
        let isTaken = near.enqueue(ByteBuffer(repeating: 1, count: ClusterLimits.dataMessage))
        #expect(isTaken)
        var inFlight = 0
        var fragments: [Gossip] = []
        while let gossip = near.next() {
            inFlight += gossip.frame().readableBytes
            fragments.append(gossip)
        }
        #expect(inFlight <= ClusterLimits.gossipWindow && inFlight > ClusterLimits.gossipWindow / 2)
        for count in [2 << 20, ClusterLimits.dataMessage + 1] {
            let isTaken = near.enqueue(ByteBuffer(repeating: 1, count: count))
            #expect(!isTaken, "what waits is bounded")
        }
        for fragment in fragments { _ = try far.take(fragment) }
        guard case .credit? = far.next() else { return #expect(Bool(false), "credit is due") }
    }

    @Test func whoSendsBeyondItsCreditIsFound() throws {
        var lane = GossipLane()
        #expect(throws: WireError.self) {
            for _ in 0..<100_000 { _ = try lane.take(.fragment(ByteBuffer(), hasMore: true)) }
        }
        var other = GossipLane()
        #expect(throws: WireError.self) { _ = try other.take(.credit(1)) }
    }
}

/// When a peer is dialled again.
@Suite struct PeerRedialTests {
    private func at(_ milliseconds: Int) -> Moment { Moment(nanoseconds: Int64(milliseconds) * 1_000_000) }

    @Test func waitsGrowAndStayBounded() {
        var rng = SeededGenerator(seed: 4)
        var redial = PeerRedial()
        var ceiling = Duration.milliseconds(100)
        for _ in 0..<12 {
            let wait = redial.wait(using: &rng)
            #expect(wait >= ceiling / 2 && wait <= ceiling)
            ceiling = min(ceiling * 2, .seconds(2))
        }
        redial.encourage()
        #expect(redial.wait(using: &rng) <= .milliseconds(100))
    }

    @Test func onlyALinkThatLastedIsReplacedAtOnce() {
        var rng = SeededGenerator(seed: 4)
        var redial = PeerRedial()
        redial.linked(now: self.at(0))
        #expect(redial.lost(now: self.at(5_000), using: &rng) == .zero)
        redial.linked(now: self.at(5_010))
        #expect(redial.lost(now: self.at(5_020), using: &rng) > .zero)
    }

    @Test func twoRefusalsFarEnoughApartEndTheSession() {
        var rng = SeededGenerator(seed: 4)
        var redial = PeerRedial()
        let failed = { (redial: inout PeerRedial, failure: PeerRedial.Failure, now: Int, isRestarting: Bool) in
            redial.failed(failure, isRestarting: isRestarting, now: self.at(now), using: &rng)
        }
        #expect(failed(&redial, .connectionRefused, 0, false) == .resume(after: .milliseconds(200)))
        #expect(failed(&redial, .connectionRefused, 150, false) == .resume(after: .milliseconds(50)))
        #expect(failed(&redial, .connectionRefused, 200, false) == .abandon)
        // Another failure between them, or a restart that was announced.
        redial = PeerRedial()
        #expect(failed(&redial, .connectionRefused, 0, false) == .resume(after: .milliseconds(200)))
        guard case .resume = failed(&redial, .other, 200, false) else { return #expect(Bool(false), "it may pass") }
        #expect(failed(&redial, .connectionRefused, 400, false) == .resume(after: .milliseconds(200)))
        guard case .resume = failed(&redial, .connectionRefused, 900, true) else {
            return #expect(Bool(false), "the restart was announced")
        }
        #expect(failed(&redial, .otherInstance, 950, false) == .replace)
        #expect(failed(&redial, .unknownSession, 950, false) == .abandon)
    }
}

/// The gate's reserve, and where peers belong.
@Suite struct PeerGateTests {
    private func isAdmitted(_ outcome: HandshakeBook.Outcome) -> Bool { if case .admitted = outcome { true } else { false } }
    private func ticket(_ outcome: HandshakeBook.Outcome) -> UInt64? {
        switch outcome {
        case .admitted(let ticket), .waiting(let ticket): ticket
        case .refused: nil
        }
    }

    @Test func peersComeInWhenTheGateIsFull() throws {
        var book = HandshakeBook(limit: 2, perSource: 2, waiting: 1, reserve: 3)
        _ = book.setPeerAddresses(["192.0.2.7", "2001:db8::7"])
        for _ in 0..<2 { #expect(self.isAdmitted(book.enter(source: "192.0.2.1") {})) }
        #expect(!self.isAdmitted(book.enter(source: "192.0.2.1") {}))
        let peers = ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"].map { book.enter(source: $0) {} }
        #expect(peers.allSatisfy(self.isAdmitted))
        // The reserve is used up, and so is the queue.
        guard case .refused = book.enter(source: "192.0.2.7", proceed: {}) else {
            return #expect(Bool(false), "no place is left")
        }
        #expect(book.active == 5)
        #expect(book.leave(try #require(self.ticket(peers[0]))).isEmpty, "a stranger gets no place of the reserve")
        #expect(self.isAdmitted(book.enter(source: "192.0.2.7") {}))
    }

    @Test func whoWaitsBecomesAPeer() throws {
        let order = Log<String>()
        var book = HandshakeBook(limit: 1, perSource: 64, waiting: 9, reserve: 1)
        let first = self.ticket(book.enter(source: "a") {})
        for source in ["b", "192.0.2.7"] { _ = book.enter(source: source) { order.add(source) } }
        for proceed in book.setPeerAddresses(["192.0.2.7"]) { proceed() }
        #expect(order.entries == ["192.0.2.7"])
        for proceed in book.leave(try #require(first)) { proceed() }
        #expect(order.entries == ["192.0.2.7", "b"])
        #expect(book.active == 2 && book.queue.isEmpty)
    }

    @Test(arguments: UInt64(1)...10) func anyOrderKeepsTheBounds(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var book = HandshakeBook(limit: 6, perSource: 3, waiting: 8, reserve: 4)
        _ = book.setPeerAddresses(["source 0"])
        var tickets: [UInt64] = []
        for _ in 0..<500 {
            if Bool.random(using: &rng) || tickets.isEmpty {
                let source = "source \(Int.random(in: 0..<4, using: &rng))"
                if let ticket = self.ticket(book.enter(source: source) {}) { tickets.append(ticket) }
            } else {
                _ = book.leave(tickets.remove(at: Int.random(in: 0..<tickets.count, using: &rng)))
            }
            #expect(book.active <= 10 && book.queue.count <= 8)
            #expect(book.active + book.queue.count == tickets.count)
        }
        for ticket in tickets { _ = book.leave(ticket) }
        #expect(book.active == 0 && book.queue.isEmpty)
    }

    @Test func aLoopHasItsPlace() {
        for (index, count) in [(0, 1), (3, 2), (5, 4), (7, 8)] {
            let key = Placement.key(hostName: Placement.hostName(loop: index))
            #expect(key.map { Placement.loop(key: $0, count: count) } == index % count)
        }
        #expect(Placement.key(hostName: Placement.controlHostName) == nil)
    }
}
