import Foundation
import Identity
import NIOCore

@testable import TunnelTransport

/// What only tests of the handshake need.
extension TunnelBed {
    /// The error of a dial that must fail.
    func refusal(_ dialer: LinkDialer, port: Int? = nil) async throws -> HandshakeError {
        switch try await self.dial(dialer, port: port) {
        case .failure(let error): return error
        case .success(let answer): throw Overdue(description: "the handshake succeeded with \(answer.peer.name)")
        }
    }

    /// Waits until the server has done with every connection; what the one that failed failed with.
    func soleFailure() async throws -> HandshakeFailure {
        try await self.noConnectionIsLeft()
        let failures = self.observer.failures.entries
        guard failures.count == 1 else { throw Overdue(description: "not one failure but \(failures)") }
        return failures[0].failure
    }

    /// Waits until the server has closed every connection and the gate is empty.
    func noConnectionIsLeft() async throws {
        try await eventually("the server has closed every connection") {
            let load = self.options.gate.load
            return load.active == 0 && load.waiting == 0 && RawSocket.connections(touching: [self.serverPort]) == 0
        }
    }

    func relay(certificate: ServerCertificate, client: String = "worker-1") async throws -> TLSRelay {
        try await TLSRelay.start(
            certificate: certificate, target: self.serverPort, serverName: Placement.hostName(client: client),
            group: self.clientGroup)
    }

    /// A certificate that looks like the server's and is not.
    func foreignCertificate() throws -> ServerCertificate {
        let directory = try TemporaryDirectory()
        return try ServerCertificate.loadOrCreate(directory: directory.path, name: "server-1", at: Date())
    }

    /// A client that says what the test wants; with `serverName` nil, it names no host.
    func rawPeer(
        serverName: String? = Placement.hostName(client: "worker-1"), protocols: [String] = [TLSContext.applicationProtocol]
    ) async throws -> RawPeer {
        try await RawPeer.connect(
            port: self.serverPort, offer: RawPeer.Offer(protocols: protocols, serverName: serverName), group: self.clientGroup)
    }
}

extension [UInt8] {
    /// Whether `part` occurs somewhere.
    func contains(_ part: some Sequence<UInt8>) -> Bool { Data(self).range(of: Data(part)) != nil }
}
