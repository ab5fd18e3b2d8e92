import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// The client is linked to server-2 alone; whoever connects at server-1 or server-3 is relayed.
    @Suite struct RelayTests {
        @Test func bytesAndEndingsPassThrough() async throws {
            let bulk = try await onThread { try PlainSocket.listen() }
            defer { bulk.close() }
            let target = try await TestListener.start()
            let ports = (bulk: try FreePorts.one(), raw: try FreePorts.one())
            var setup = Self.setup
            setup.exposures = [Self.exposure("bulk", bulk.port, ports.bulk), Self.exposure("raw", target.port, ports.raw)]
            try await ServerGroup.with(setup) { group in
                try await Self.whenRelayed(group, ports: [ports.bulk, ports.raw])
                try await Self.expectBulk(8 << 20, ports.bulk, bulk)
                try await Self.expectHalfCloses(ports.raw, target)
                try await Self.expectResets(ports.raw, target)
                #expect(
                    try await group.servers[0].admin.status()["clients"].int == 0,
                    "expected no link with \(group.servers[0].name)")
                // Nothing of all that is left over.
                for server in group.servers {
                    try await eventually("no stream at \(server.name)") { try await server.admin.status()["streams"].int == 0 }
                }
            }
            await target.stop()
        }

        /// The relayed streams are cut with a reset at both ends, and nothing else is.
        @Test func aKilledServerResetsWhatItRelayed() async throws {
            let target = try await TestListener.start()
            let port = try FreePorts.one()
            var setup = Self.setup
            setup.exposures = [Self.exposure("raw", target.port, port)]
            try await ServerGroup.with(setup) { group in
                try await Self.whenRelayed(group, ports: [port])
                let (near, far) = try await Self.join(port, target)
                try await near.write("before the end")
                #expect(try await far.readText(14) == "before the end")
                try await group.servers[1].kill()
                #expect(try await near.ending(within: .seconds(20)) == .reset)
                #expect(try await far.ending(within: .seconds(20)) == .reset)
                // The client goes to another server, and the port leads to it again.
                let (again, targetAgain) = try await eventually("the port to lead to the client", within: .seconds(30)) {
                    try await Self.join(port, target)
                }
                try await again.write("again")
                #expect(try await targetAgain.readText(5) == "again")
                try await again.close()
                try await targetAgain.close()
            }
            await target.stop()
        }

        /// The relay itself is killed: only what went through it is cut.
        @Test func aKilledRelayIsNotMissedByOthers() async throws {
            let target = try await TestListener.start()
            let port = try FreePorts.one()
            var setup = Self.setup
            setup.exposures = [Self.exposure("raw", target.port, port)]
            setup.hasExposure = true
            try await ServerGroup.with(setup) { group in
                try await Self.whenRelayed(group, ports: [port, group.mapped])
                let kept = try await CountedStream.open(port: group.forward)
                let (near, far) = try await Self.join(port, target)
                try await group.servers[0].kill()
                // The kernel ends the sockets of a killed process in its own way, and so nothing is said of the near end.
                _ = try await near.ending(within: .seconds(20))
                // Before the data session has given up waiting for its server, 5 s: that one is known to be dead.
                #expect(try await far.ending(within: .seconds(4)) == .reset)
                try await kept.goesOn()
                try await group.whenMapped([group.mapped], at: group.others(than: group.servers[0]))
                #expect(try await kept.finish() == .whole)
            }
            await target.stop()
        }

        /// Beside the server of the client there is no backend; beside others there is.
        @Test func aServiceIsReachedThroughAPeer() async throws {
            try await ServerGroup.with(Self.setup) { group in
                try await group.accord()
                #expect(try await group.whoAnswers() === group.servers[1])
                let old = try await CountedStream.open(port: group.forward)
                await group.servers[1].backend.stop()
                try await eventually("a backend beside another server", within: .seconds(20)) {
                    try await group.whoAnswers() !== group.servers[1]
                }
                let stream = try await CountedStream.open(port: group.forward)
                await group.servers[0].backend.stop()
                try await eventually("the only backend that is left", within: .seconds(20)) {
                    try await group.whoAnswers() === group.servers[2]
                }
                #expect(try await group.linked().map(\.name) == [group.servers[1].name])
                try await group.servers[1].backend.startAgain()
                try await eventually("the nearest backend", within: .seconds(20)) {
                    try await group.whoAnswers() === group.servers[1]
                }
                #expect(try await [old, stream].finish() == [.whole, .whole])
            }
        }
    }
}
