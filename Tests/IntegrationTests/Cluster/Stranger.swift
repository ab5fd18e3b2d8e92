import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// A server that tries to be a peer and must not.
struct Stranger: Sendable {
    let server: GroupServer
    let group: ServerGroup

    /// Starts it anew, with one peer to dial. What the group's file says goes, but for what is given here.
    func comes(
        to peer: GroupServer, name: String? = nil, secret: String = GroupServer.secret, token: String? = nil,
        emptiesState: Bool = true
    ) async throws {
        try self.group.folder.write(self.server.secretFile, secret)
        try self.group.folder.write(self.server.tokenFile, token ?? self.group.folder.read("token"))
        try await self.start(peers: [peer, self.server], name: name, emptiesState: emptiesState)
    }

    /// Starts it as a cluster of one and waits until it is founded.
    func foundsItsOwn() async throws {
        try self.group.folder.write(self.server.secretFile, GroupServer.secret)
        try await self.start(peers: [self.server], name: nil, emptiesState: true)
        try await eventually("\(self.server.name) to lead itself", within: .seconds(20)) {
            let status = try await self.server.admin.status()
            return status["leader"].text == self.server.name && status["cluster"].text != nil
        }
    }

    private func start(peers: [GroupServer], name: String?, emptiesState: Bool) async throws {
        if self.server.last?.isRunning == true { try await self.server.kill() }
        if emptiesState { try? FileManager.default.removeItem(atPath: self.group.folder[self.server.state]) }
        try self.group.write(self.server)
        let addresses = peers.map { "\"\($0.address)\"" }.joined(separator: ", ")
        let lines = self.group.folder.read("server-\(self.server.number).yaml").split(separator: "\n").map { line in
            if line.hasPrefix("    peers: ") { return "    peers: [\(addresses)]" }
            if let name, line.hasPrefix("  name: ") { return "  name: \(name)" }
            return String(line)
        }
        try self.group.folder.write("server-\(self.server.number).yaml", lines.joined(separator: "\n") + "\n")
        try await self.group.start([self.server])
    }

    /// Both ends say why, and it belongs to nothing.
    ///
    /// - Parameters:
    ///   - cause: what its own log has as the cause.
    ///   - reason: part of the line at the other end.
    ///   - isKnown: whether it is refused after it has proved itself.
    func expectRefusal(_ cause: String, _ peer: GroupServer, _ reason: String, isKnown: Bool = false) async throws {
        let (server, own) = (self.server, try self.server.program)
        // The log goes on over its lives: a line of an earlier one has another cause or another address.
        let line = try await eventually("\(server.name) to say that it was refused", within: .seconds(20)) {
            own.logLines.last {
                $0.contains("cannot reach peer") && $0.contains("address=\(peer.address) cause=\(cause) ")
            }
        }
        #expect(line.contains("WARNING"), "\(line)")
        // Who does not know the secret is told no more than that.
        #expect(line.contains(cause == "authentication" ? "reason=\"authentication failed\"" : reason), "\(line)")
        let theirs = try await eventually("\(peer.name) to say that it refused", within: .seconds(20)) {
            try peer.program.logLines.last {
                $0.contains(isKnown ? "peer is refused" : "handshake failed") && $0.contains(reason)
            }
        }
        #expect(theirs.contains("WARNING") && (isKnown || theirs.contains("reason=\(cause) ")), "\(theirs)")
        #expect(own.isRunning, "expected it to serve its clients and to try again")
        let status = try await server.admin.status()
        #expect(status["peers"].items.isEmpty && status["ready"].bool == true, "\(status)")
        #expect(status["role"].text != "follower" || status["leader"] == .null, "\(status)")
        for member in group.servers where member !== server && member.last != nil {
            let known = try await member.admin.status()["peers"].items
            #expect(!known.contains { $0["addr"].text == server.address }, "\(member.name) knows it: \(known)")
        }
    }
}
