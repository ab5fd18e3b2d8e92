import Foundation
import Identity
import Testing
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Peers that are known by certificates in place of a cluster secret.
    @Suite struct PeerCertificateTests {
        private let directory: TemporaryDirectory
        private let pki: PKIDirectory
        private let trust: CertificateTrust

        init() throws {
            self.directory = try TemporaryDirectory()
            self.pki = PKIDirectory("\(self.directory.path)/pki")
            let authority = try self.pki.initialise(cluster: "lab", at: Date())
            self.trust = try CertificateTrust(pem: authority.certificatePEM, place: "ca.crt")
        }

        private func issue(_ role: CertificateRole, _ name: String) throws -> ServerCertificate {
            let files = try self.pki.issue(role: role, name: name, at: Date())
            return try ServerCertificate.load(certificate: files.certificate, key: files.key)
        }

        private func options(accepting: Bool = true) throws -> [PeerEnd.Options] {
            var options = PeerEnd.pair()
            for index in options.indices {
                options[index].trust = self.trust
                options[index].acceptsCertificates = accepting
                options[index].certificate = try self.issue(.server, options[index].name)
            }
            return options
        }

        private func tls(_ certificate: ServerCertificate?) throws -> TLSContext {
            try .dialer(certificate: certificate, trust: self.trust)
        }

        @Test func aServersCertificateOpensAControlLink() async throws {
            try await PeerEnd.with(try self.options()) { ends in
                let tls = try self.tls(ends[0].certificate)
                let peer = try await ends[0].dialControl(port: ends[1].port, credential: .certificate, tls: tls).get()
                #expect(peer.name == "server-b")
                try await eventually("it is accepted") { ends[1].controlLogs.accepted.entries == ["server-a"] }
                // A secret goes on working beside it.
                _ = try await ends[0].dialControl(port: ends[1].port).get()
            }
        }

        @Test func aClientsCertificateDoesNot() async throws {
            try await PeerEnd.with(try self.options()) { ends in
                let tls = try self.tls(self.issue(.client, "server-a"))
                let error = try await ends[0].bluntDial(port: ends[1].port, credential: .certificate, tls: tls)
                #expect(error.heard == Close(.forbidden, "the certificate is a client's, a server's is needed"))
                let other = try self.tls(self.issue(.server, "server-c"))
                let misnamed = try await ends[0].bluntDial(port: ends[1].port, credential: .certificate, tls: other)
                #expect(misnamed.heard == Close(.forbidden, "the certificate is for server-c, not for server-a"))
            }
        }

        /// TLS lets a server's certificate pass here; the handshake does not, for a client.
        @Test func aServersCertificateIsStillNoClients() async throws {
            try await PeerEnd.with(try self.options()) { ends in
                var party = ends[0].party
                party.role = .client
                let tls = try self.tls(ends[0].certificate)
                let error = try await ends[0].bluntDial(
                    port: ends[1].port, purpose: .client, credential: .certificate, tls: tls, party: party)
                #expect(error.heard == Close(.forbidden, "the certificate is a server's, a client's is needed"))
                #expect(ends[1].clientEvents.entries.isEmpty)
            }
        }

        @Test func aServerThatWantsSecretsTakesNoCertificate() async throws {
            try await PeerEnd.with(try self.options(accepting: false)) { ends in
                let none = try await ends[0].bluntDial(port: ends[1].port, credential: .certificate, tls: try self.tls(nil))
                #expect(none.heard == Close(.authenticationFailed, "authentication failed"))
                // A server's certificate does not even pass TLS.
                let tls = try self.tls(ends[0].certificate)
                _ = try await ends[0].bluntDial(port: ends[1].port, credential: .certificate, tls: tls)
                try await eventually("both failed") { ends[1].observer.kinds == [.authentication, .authentication] }
                #expect(ends[1].controlLogs.accepted.entries.isEmpty)
            }
        }
    }
}
