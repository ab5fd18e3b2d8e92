import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// What is said at the start of one server and of two, and that it is true.
    @Suite struct QuorumTests {
        @Test func oneServerGivesOutPorts() async throws {
            let setup = GroupSetup(servers: 1, hasExposure: true, hasPicked: true, isCluster: true, links: 1)
            try await ServerGroup.with(setup) { group in
                let server = group.servers[0]
                let starts = try server.program.logLines.filter { $0.contains("cluster of one") }
                #expect(starts.count == 1 && starts[0].contains("NOTICE"), "\(starts)")
                #expect(
                    starts.allSatisfy {
                        $0.contains("when this server is down, everything is") && $0.contains("mend=\"add peers\"")
                    })
                let accord = try await group.accord(voters: [server])
                let port = try await group.pickedPort()
                try await group.whenMapped([group.mapped, port])
                try await server.kill()
                try await group.start([server])
                try await group.accord(voters: [server], least: accord.term + 1)
                #expect(try await group.pickedPort() == port)
                try await group.whenMapped([group.mapped, port])
            }
        }

        /// Without a `cluster` section a server is its own leader and says nothing about it.
        @Test func aSingleServerGivesOutPorts() async throws {
            let setup = GroupSetup(servers: 1, hasExposure: true, hasPicked: true, links: 1)
            try await ServerGroup.with(setup) { group in
                let server = group.servers[0]
                let port = try await group.pickedPort()
                try await group.whenMapped([group.mapped, port])
                let status = try await server.admin.status()
                #expect(status["role"].text == "single" && status["leader"] == .null && status["voters"].items.isEmpty)
                #expect(
                    try await server.admin.ctl("leader").output
                        == "server-1 is a single server: it has no peers and needs no leader\n")
                let result = try await server.admin.ctl("cluster", "add", "server-2")
                #expect(result.end != .exit(0) && result.errorLines.count == 1, "\(result)")
                #expect(result.errors.contains("this is a single server: configure server.cluster first"), "\(result)")
                #expect(try !server.program.log.contains("leadership"))
                try await server.kill()
                try await group.start([server])
                #expect(try await group.pickedPort() == port)
            }
        }

        @Test func twoServersAgreeOnNothingNewAlone() async throws {
            let setup = GroupSetup(servers: 2, hasExposure: true, hasPicked: true, isCluster: true)
            try await ServerGroup.with(setup) { group in
                let accord = try await group.accord(voters: group.servers)
                for server in group.servers {
                    let starts = try server.program.logLines.filter { $0.contains("cluster of two") }
                    #expect(starts.count == 1 && starts[0].contains("WARNING"), "\(starts)")
                    for part in [
                        "without both, nothing new is agreed", "new mapped ports while one is down", "known mapped ports",
                    ] {
                        #expect(starts.allSatisfy { $0.contains(part) }, "\(starts)")
                    }
                }
                let port = try await group.pickedPort()
                try await group.whenMapped([group.mapped, port])
                let survivor = group.others(than: accord.leader)[0]
                try await group.move(to: survivor)
                let kept = try await CountedStream.open(2, port: group.forward)
                try await accord.leader.kill()
                try await eventually("no leader at \(survivor.name)", within: .seconds(20)) {
                    let status = try await survivor.admin.status()
                    return status["leader"] == .null && ["follower", "candidate"].contains(status["role"].text)
                }
                try await Self.expectTraffic(at: survivor, port, group)
                try await Self.expectNothingNew(at: survivor, group)
                try await Self.expectTraffic(at: survivor, port, group)
                try await kept.goOn()
                try await group.start([accord.leader])
                try await group.accord(voters: group.servers, least: accord.term + 1)
                try await eventually("the port that was waited for", within: .seconds(30)) {
                    let late = try await group.exposure("late", at: survivor)["port"].int
                    return late.map { group.pickable.contains($0) && $0 != port } ?? false
                }
                #expect(try await group.pickedPort() == port)
                #expect(try await kept.finish() == [.whole, .whole])
            }
        }

        private static func expectTraffic(at survivor: GroupServer, _ port: Int, _ group: ServerGroup) async throws {
            #expect(try await group.whoAnswers() === survivor)
            try await group.whenMapped([group.mapped, port], at: [survivor])
        }

        /// A new exposure waits, and says for what; an operator is told as well.
        private static func expectNothingNew(at survivor: GroupServer, _ group: ServerGroup) async throws {
            var setup = group.setup
            setup.exposures = ["{name: late, target: \"127.0.0.1:\(group.exposed.port)\", remote_port: 0}"]
            try group.writeClient(setup)
            #expect(try await group.clientAdmin.ctl("reload").end == .exit(0))
            let waits = "waiting for the leader of the servers to give it a port"
            try await eventually("the client to say what it waits for", within: .seconds(20)) {
                let row = try await group.clientAdmin.status()["exposures"].items.first { $0["name"].text == "late" } ?? .null
                guard row["reason"].text == "\(survivor.name): \(waits)", row["port"].int == nil else { throw Unmet("\(row)") }
                return true
            }
            let row = try await group.exposure("late", at: survivor)
            #expect(row["healthy"].bool == false && row["reason"].text == waits, "\(row)")
            let result = try await survivor.admin.ctl("cluster", "remove", "server-1")
            #expect(result.end == .exit(75) && result.errorLines.count == 1, "\(result)")
            #expect(result.errors.contains("no leader has answered within 15 s"), "\(result)")
            #expect(try await group.exposure("late", at: survivor)["port"].int == nil)
        }
    }
}
