import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// A disk that takes no more: the server says so and promises nothing, and the others go on.
    @Suite struct DiskTests {
        @Test func aDiskThatIsFullFromTheStart() async throws {
            try await SmallDisk.with(of: 1) { group, disk in
                let server = group.servers[0]
                try await disk.start(server)
                try await group.accord(voters: group.servers)
                try await server.kill()
                let before = try disk.bytes("cluster.state")
                try disk.fill()
                try await Self.expectEnd(server, disk, group, "cluster.state", "No space left on device", ": make room")
                #expect(try disk.bytes("cluster.state") == before)
                try disk.makeRoom()
                try await disk.makeReadOnly(true)
                try await Self.expectEnd(
                    server, disk, group, "lock cannot be opened", "Read-only file system", ": make the state directory writable")
                #expect(try disk.bytes("cluster.state") == before)
                try await disk.makeReadOnly(false)
                try await disk.start(server)
                try await server.whenReady()
                try await group.accord(voters: group.servers)
            }
        }

        @Test func aDiskThatFillsUpEndsItsServerAlone() async throws {
            try await SmallDisk.with(of: 3) { group, disk in
                let (server, others) = (group.servers[2], Array(group.servers.prefix(2)))
                try await group.start(others)
                try await disk.start(server)
                let first = try await group.accord(voters: group.servers)
                try group.startClient()
                try await group.whenReady()
                let port = try await group.pickedPort()
                try await group.whenMapped([group.mapped, port])
                try disk.fill()
                // Another term has to be written by everybody.
                let heir = first.leader === others[0] ? others[1] : others[0]
                _ = try await first.leader.admin.ctl("cluster", "transfer", heir.name)
                #expect(try await server.program.exit(within: .seconds(30)) == .exit(69))
                let lines = try server.program.logLines
                let critical = lines.filter { $0.contains("cluster state cannot be written; the server ends") }
                #expect(critical.count == 1 && critical[0].contains("CRITICAL"), "\(critical)")
                #expect(
                    critical.allSatisfy { $0.contains("cluster.state") && $0.contains("No space left on device") }, "\(critical)")
                #expect(lines.last?.contains("make room") == true, "expected what to do in \(lines.last ?? "")")
                // Without it all goes on, also what needs a majority.
                let second = try await group.accord(of: others, voters: group.servers, least: first.term + 1)
                try await group.whenMapped([group.mapped, port], at: others)
                #expect(others.contains { $0 === second.leader })
                let answering = try await eventually("a connection by the forward") { try await group.whoAnswers() }
                #expect(answering !== server)
                try disk.makeRoom()
                try await disk.start(server)
                try await server.whenReady()
                try await group.accord(voters: group.servers, least: second.term)
                #expect(try await server.admin.status()["role"].text != "learner", "expected it to have its vote as before")
                try await group.whenMapped([group.mapped, port])
            }
        }

        /// The server does not start; the last line says which file, what is wrong and what to do.
        private static func expectEnd(
            _ server: GroupServer, _ disk: SmallDisk, _ group: ServerGroup, _ file: String, _ reason: String, _ mend: String
        ) async throws {
            let command = try disk.inside + [try Programs.server, "--config", group.folder["server-\(server.number).yaml"]]
            let result = try await run(command[0], Array(command.dropFirst()))
            #expect(result.end == .exit(69), "\(result)")
            let line = result.errorLines.last ?? ""
            let state = group.folder[server.state]
            #expect(line.hasPrefix("gotunnel-server cannot start: \(state)/\(file)") && line.contains(reason), "\(result)")
            #expect(line.contains(mend), "\(result)")
            #expect(result.errorLines.filter { $0.contains(reason) }.count == 1, "\(result)")
        }
    }
}
