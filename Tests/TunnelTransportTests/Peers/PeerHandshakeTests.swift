import Foundation
import Identity
import NIOCore
import Testing
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Who may join as a peer, over real TLS.
    @Suite struct PeerHandshakeTests {
        private func failure(_ result: Result<Hello, HandshakeError>) throws -> HandshakeError {
            guard case .failure(let error) = result else { throw Overdue(description: "the handshake succeeded") }
            return error
        }

        @Test func aControlLinkCarriesMessagesBothWays() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let (near, far) = (ends[0], ends[1])
                let peer = try await near.dialControl(port: far.port).get()
                #expect(peer.name == "server-b" && peer.role == .server && peer.instance == far.party.instance)
                let (farControl, nearControl) = (far.controlLogs, near.controlLogs)
                try await eventually("the link is accepted") { farControl.accepted.count == 1 }
                #expect(farControl.accepted.entries == ["server-a"] && farControl.isOnLoop.entries == [true])
                let longest = [UInt8](repeating: 7, count: ClusterLimits.controlMessage)
                #expect(try await near.sendControl([1, 2, 3]) == 1)
                #expect(try await near.sendControl([]) == 1)
                #expect(try await near.sendControl(longest) == 1)
                try await eventually("it arrives") { farControl.messages.count == 3 }
                #expect(farControl.messages.entries == [[1, 2, 3], [], longest])
                #expect(try await far.sendControl([4]) == 1)
                try await eventually("the answer arrives") { nearControl.messages.entries == [[4]] }
                try await eventually("both measured the round trip") {
                    let here = try await near.control.eventLoop.run { near.control.value.links.first?.roundTrip }
                    let there = try await far.control.eventLoop.run { far.control.value.links.first?.roundTrip }
                    return here != nil && there != nil
                }
                #expect(far.observer.kinds.isEmpty)
            }
        }

        @Test func anOldAndANewSecretAreTaken() async throws {
            let options = PeerEnd.pair { _, far in far.secrets = [PeerEnd.secret, PeerEnd.oldSecret] }
            try await PeerEnd.with(options) { ends in
                for secret in [PeerEnd.secret, PeerEnd.oldSecret] {
                    _ = try await ends[0].dialControl(port: ends[1].port, credential: .clusterSecret(Token(secret))).get()
                }
                #expect(ends[1].observer.kinds.isEmpty)
            }
        }

        /// A wrong secret, an unknown one and a worker's token, whatever purpose it claims to be for, look the same.
        @Test func aWorkersTokenOpensNoPeersLink() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let wrong = String(PeerEnd.secret.dropLast(2)) + "ff"
                let credentials: [DialerCredential] = [
                    .clusterSecret(try Token(wrong)), .clusterSecret(try Token(PeerEnd.oldSecret)),
                    .clusterSecret(try Token(TunnelBed.tokenText)),
                    .token(AuthenticationKey(try Token(TunnelBed.tokenText), for: .clientToken)),
                    // The right secret, used as if it were a client's.
                    .token(AuthenticationKey(try Token(PeerEnd.secret), for: .clientToken)),
                ]
                for credential in credentials {
                    let error = try self.failure(try await ends[0].dialControl(port: ends[1].port, credential: credential))
                    #expect(error.heard == Close(.authenticationFailed, "authentication failed"))
                    let data = try await ends[0].bluntDial(
                        port: ends[1].port, purpose: .peerSession(loop: 0), credential: credential)
                    #expect(data.heard == Close(.authenticationFailed, "authentication failed"))
                }
                for failure in ends[1].observer.failures.entries {
                    #expect(failure.failure == .authentication)
                    #expect(failure.detail.hasPrefix("wrong or unknown token from server-a from 127.0.0.1:"))
                }
                #expect(ends[1].observer.failures.count == 2 * credentials.count)
            }
        }

        @Test func aClusterSecretIsNoClientsToken() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                var party = ends[0].party
                party.role = .client
                for purpose in [KeyPurpose.clusterSecret, .clientToken] {
                    let credential = DialerCredential.token(AuthenticationKey(try Token(PeerEnd.secret), for: purpose))
                    let error = try await ends[0].bluntDial(
                        port: ends[1].port, purpose: .client, credential: credential, party: party)
                    #expect(error.heard == Close(.authenticationFailed, "authentication failed"))
                }
                #expect(ends[1].clientEvents.entries.isEmpty)
            }
        }

        @Test func aServerWithoutClusterSaysSo() async throws {
            let options = PeerEnd.pair { _, far in far.secrets = nil }
            try await PeerEnd.with(options) { ends in
                let error = try self.failure(try await ends[0].dialControl(port: ends[1].port))
                #expect(error.failure == .forbidden && error.isRefusal)
                #expect(error.detail.hasPrefix("this server has no cluster section and takes no peers"))
            }
        }

        @Test func aPeerOfAnotherClusterIsRefusedByBothEnds() async throws {
            let options = PeerEnd.pair { near, far in (near.cluster, far.cluster) = ("c1", "c2") }
            try await PeerEnd.with(options) { ends in
                let here = try self.failure(try await ends[0].dialControl(port: ends[1].port))
                #expect(here.failure == .forbidden && !here.isRefusal)
                #expect(here.detail.hasPrefix("server-b belongs to cluster c2, server-a to c1: correct peers"))
                for purpose in [LinkPurpose.peerControl, .peerSession(loop: 1)] {
                    let there = try await ends[0].bluntDial(port: ends[1].port, purpose: purpose)
                    #expect(there.heard?.code == .forbidden)
                    #expect(there.detail.hasPrefix("server-a belongs to cluster c1, server-b to c2: correct peers"))
                }
            }
        }

        @Test func aClusterThatIsFoundedMeanwhileCounts() async throws {
            let options = PeerEnd.pair { near, far in (near.cluster, far.cluster) = ("c1", "") }
            try await PeerEnd.with(options) { ends in
                _ = try await ends[0].dialControl(port: ends[1].port).get()
                var founded = ends[1].party
                founded.cluster = "c2"
                ends[1].server.replace(founded)
                let error = try await ends[0].bluntDial(port: ends[1].port)
                #expect(error.heard?.code == .forbidden)
                founded.cluster = "c1"
                ends[1].server.replace(founded)
                let peer = try await ends[0].dialControl(port: ends[1].port).get()
                #expect(peer.cluster == "c1")
            }
        }

        @Test func aServerThatDialsItselfGoesAway() async throws {
            try await PeerEnd.with([PeerEnd.Options()]) { ends in
                let own = try self.failure(try await ends[0].dialControl(port: ends[0].port))
                #expect(own.failure == .unwanted && own.detail.hasPrefix("this server dialled itself"))
                let told = try await ends[0].bluntDial(port: ends[0].port)
                #expect(told.failure == .unwanted && told.heard?.code == .superseded)
                #expect(ends[0].observer.kinds.allSatisfy { $0 == .unwanted })
            }
        }

        @Test func twoServersOfOneNameAreRefused() async throws {
            let options = PeerEnd.pair { _, far in far.name = "server-a" }
            try await PeerEnd.with(options) { ends in
                let here = try self.failure(try await ends[0].dialControl(port: ends[1].port))
                #expect(here.detail == "two servers are called server-a: give each a name of its own")
                let there = try await ends[0].bluntDial(port: ends[1].port)
                #expect(there.heard == Close(.forbidden, "two servers are called server-a: give each a name of its own"))
            }
        }

        // MARK: Places

        @Test func aLinkInTheWrongPlaceIsMisplaced() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                let (near, far) = (ends[0], ends[1])
                // A client with the control plane's host name, and each kind of peer's link with the other's.
                let client = try await far.raw(
                    TestGreeting(host: Placement.controlHostName, isControlLink: false, role: .client), from: near)
                #expect(client?.code == .misplaced)
                let data = try await far.raw(
                    TestGreeting(host: Placement.controlHostName, isControlLink: false, role: .server), from: near)
                #expect(data?.code == .misplaced)
                let control = try await far.raw(
                    TestGreeting(host: Placement.hostName(loop: 1), isControlLink: true, role: .server), from: near)
                #expect(control?.code == .misplaced)
                #expect(far.observer.kinds == [.malformed, .malformed, .malformed])
            }
        }

        @Test func aControlLinkThatNobodyWantsIsClosed() async throws {
            try await PeerEnd.with(PeerEnd.pair()) { ends in
                try await ends[1].control.eventLoop.run { ends[1].control.value.refuses = true }
                _ = try await ends[0].dialControl(port: ends[1].port).get()
                let control = ends[0].controlLogs
                try await eventually("it is closed") {
                    control.ends.entries == [.announced(Close(.busy, "this server does not take the link now"))]
                }
            }
        }
    }
}

/// What a hostile or confused dialer says.
struct TestGreeting {
    var host: String
    var isControlLink: Bool
    var role: WireRole
}

extension PeerEnd {
    /// Authenticates as `other` by a greeting that does not fit; what this end says at last.
    func raw(_ greeting: TestGreeting, from other: PeerEnd) async throws -> Close? {
        let peer = try await RawPeer.connect(
            port: self.port, offer: RawPeer.Offer(serverName: greeting.host), group: other.controlGroup)
        try await peer.waitSecured()
        var party = other.party
        party.role = greeting.role
        let credential: DialerCredential =
            greeting.role == .server
            ? .clusterSecret(try Token(Self.secret))
            : .token(AuthenticationKey(try Token(TunnelBed.tokenText), for: .clientToken))
        var handshake = DialerHandshake(
            party: party, credential: credential, certificate: self.certificate.fingerprint, ticket: nil, received: 0,
            nonce: [UInt8](repeating: 5, count: 32), isControlLink: greeting.isControlLink)
        peer.send(handshake.start())
        guard case .meet = try handshake.receive(try await peer.frame(0)) else {
            throw Overdue(description: "nobody said who answers")
        }
        peer.send(try handshake.prove())
        try await peer.waitClosed()
        return try peer.farewell()
    }
}
