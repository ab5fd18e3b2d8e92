import Foundation
import Identity
import Testing
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Certificates in place of tokens: mutual TLS with roles and names.
    @Suite struct CertificateTests {
        /// An authority of the cluster, its files, and a server that believes it.
        private struct Pairing {
            let directory: TemporaryDirectory
            let pki: PKIDirectory
            let trust: CertificateTrust

            init() throws {
                self.directory = try TemporaryDirectory()
                self.pki = PKIDirectory("\(self.directory.path)/pki")
                let authority = try self.pki.initialise(cluster: "lab", at: Date())
                self.trust = try CertificateTrust(pem: authority.certificatePEM, place: "ca.crt")
            }

            func issue(_ role: CertificateRole, _ name: String) throws -> ServerCertificate {
                let files = try self.pki.issue(role: role, name: name, at: Date())
                return try ServerCertificate.load(certificate: files.certificate, key: files.key)
            }

            func options() throws -> TunnelBed.Options {
                var options = TunnelBed.Options()
                options.trust = self.trust
                options.certificate = try self.issue(.server, "server-1")
                return options
            }
        }

        @Test func aClientIsKnownByItsCertificate() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with(try pairing.options()) { bed in
                let tls = try TLSContext.dialer(certificate: pairing.issue(.client, "worker-1"), trust: pairing.trust)
                let client = try await bed.client(dialer: bed.dialer(credential: .certificate, tls: tls))
                // The resume has no token either.
                try await client.relink()
                #expect(bed.hostEvents.entries == [.began(name: "worker-1"), .resumed(name: "worker-1")])
                #expect(bed.observer.kinds.isEmpty)
            }
        }

        @Test func aTokenStillWorksBesideCertificates() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with(try pairing.options()) { bed in
                _ = try await bed.dial(try bed.dialer()).get()
                #expect(bed.observer.kinds.isEmpty)
            }
        }

        @Test func anotherAuthorityIsNotBelieved() async throws {
            let (pairing, foreign) = (try Pairing(), try Pairing())
            try await TunnelBed.with(try pairing.options()) { bed in
                let tls = try TLSContext.dialer(certificate: foreign.issue(.client, "worker-1"), trust: pairing.trust)
                _ = try await bed.refusal(try bed.dialer(credential: .certificate, tls: tls))
                #expect(try await bed.soleFailure() == .authentication)
                #expect(bed.observer.failures.entries[0].detail.hasPrefix("the certificate is not trusted"))
            }
        }

        @Test func aServersCertificateIsNoClients() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with(try pairing.options()) { bed in
                let tls = try TLSContext.dialer(certificate: pairing.issue(.server, "worker-1"), trust: pairing.trust)
                _ = try await bed.refusal(try bed.dialer(credential: .certificate, tls: tls))
                #expect(try await bed.soleFailure() == .authentication)
                #expect(bed.observer.failures.entries[0].detail == "the certificate is a server's, a client's is needed")
            }
        }

        @Test func aCertificateIsForItsNameAlone() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with(try pairing.options()) { bed in
                let tls = try TLSContext.dialer(certificate: pairing.issue(.client, "worker-2"), trust: pairing.trust)
                let error = try await bed.refusal(try bed.dialer(name: "worker-1", credential: .certificate, tls: tls))
                #expect(error.heard == Close(.forbidden, "the certificate is for worker-2, not for worker-1"))
                #expect(try await bed.soleFailure() == .forbidden)
            }
        }

        @Test func theMethodNeedsACertificate() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with(try pairing.options()) { bed in
                let tls = try TLSContext.dialer(trust: pairing.trust)
                let error = try await bed.refusal(try bed.dialer(credential: .certificate, tls: tls))
                #expect(error.heard?.code == .authenticationFailed)
                #expect(try await bed.soleFailure() == .authentication)
            }
        }

        @Test func aServerWithTokensAloneTakesNoCertificate() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with { bed in
                let tls = try TLSContext.dialer(certificate: pairing.issue(.client, "worker-1"))
                let dialer = try bed.dialer(credential: .certificate, tls: tls, pins: [bed.certificate.fingerprint])
                let error = try await bed.refusal(dialer)
                #expect(error.heard?.code == .authenticationFailed)
                #expect(try await bed.soleFailure() == .authentication)
            }
        }

        @Test func aServerThatTheAuthorityDidNotIssueIsNotBelieved() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with { bed in
                let tls = try TLSContext.dialer(certificate: pairing.issue(.client, "worker-1"), trust: pairing.trust)
                let error = try await bed.refusal(try bed.dialer(credential: .certificate, tls: tls))
                #expect(error.failure == .authentication)
                #expect(error.detail.hasPrefix("the certificate is not trusted"))
                #expect(bed.hostEvents.entries.isEmpty)
            }
        }

        /// Without a token nothing but TLS says who the server is: with neither authorities nor pins, a client goes no further.
        @Test func aServerThatNothingVouchesForIsNotBelieved() async throws {
            let pairing = try Pairing()
            try await TunnelBed.with(try pairing.options()) { bed in
                let tls = try TLSContext.dialer(certificate: pairing.issue(.client, "worker-1"))
                let error = try await bed.refusal(try bed.dialer(credential: .certificate, tls: tls))
                #expect(error.failure == .authentication)
                #expect(error.detail.hasPrefix("nothing vouches for the server"))
                #expect(bed.hostEvents.entries.isEmpty)
                // The pin is enough.
                let pinned = try bed.dialer(credential: .certificate, tls: tls, pins: [bed.certificate.fingerprint])
                _ = try await bed.dial(pinned).get()
            }
        }
    }
}
