import Testing

extension Integration {
    /// From process to process, and what goes wrong between two of them: streams go on or are reset, and nothing else.
    @Suite("Under systemd: handoff", .enabled(if: ServiceWorld.isHere, "run by scripts/test-systemd"))
    struct ServiceHandoffTests {
        @Test("streams outlive restarts and upgrades", arguments: ["restart", "upgrade"], ["server", "client"])
        func streamsGoOn(way: String, who: String) async throws {
            let unit = who == "server" ? ServiceWorld.Unit.server : .client
            try await ServiceWorld.with { world in
                let streams = [try await world.open(port: world.forwardPort), try await world.open(port: world.mappedPort)]
                let before = try await world.property("MainPID", of: unit)
                for _ in 1...3 {
                    try await self.replace(unit, way, world)
                    for stream in streams { try await world.talk(on: stream) }
                }
                let after = try await world.property("MainPID", of: unit)
                #expect((before == after) == (way == "upgrade"))
                #expect(try await world.number("NFileDescriptorStore", of: unit) == 0)
                // Each end can still finish in order.
                for stream in streams {
                    try await stream.finish()
                    #expect(try await stream.ending() == .finished)
                }
                try await world.waitForTunnel()
            }
        }

        @Test(
            "a restart, then an upgrade: what systemd had handed over is not taken for handed over again",
            arguments: [false, true])
        func anUpgradeAfterARestart(isActivated: Bool) async throws {
            try await ServiceWorld.with(starts: isActivated ? [] : [.server, .client]) { world in
                if isActivated { try await world.activate() }
                let streams = [try await world.open(port: world.forwardPort), try await world.open(port: world.mappedPort)]
                for way in ["restart", "upgrade", "upgrade", "restart", "upgrade"] {
                    try await self.replace(.server, way, world)
                    for stream in streams { try await world.talk(on: stream) }
                }
                for stream in streams { try await stream.close() }
                if isActivated { try await world.systemctl("stop", "gotunnel-server.socket") }
            }
        }

        @Test(
            "faults between two processes reset streams, and the service comes up",
            arguments: ["crash-in-freeze", "crash-in-thaw", "damage-handoff", "lose-all-sockets"], ["restart", "upgrade"])
        func faults(fault: String, way: String) async throws {
            try await ServiceWorld.with(dropIns: [.server: ["Environment=GOTUNNEL_FAULT=\(fault)"]]) { world in
                let streams = [try await world.open(port: world.forwardPort), try await world.open(port: world.mappedPort)]
                try? await self.replace(.server, way, world)
                try await world.expect("ActiveState", "active", of: .server)
                for stream in streams { #expect(try await stream.ending(within: .seconds(45)) == .reset) }
                try await world.waitForTunnel(within: .seconds(40))
            }
        }

        @Test("a program that reads no handoff takes over after a drain")
        func anOlderProgram() async throws {
            try await ServiceWorld.with(dropIns: [.server: ["Environment=GOTUNNEL_FAULT=other-format"]]) { world in
                let stream = try await world.open(port: world.forwardPort)
                let pid = try await world.property("MainPID", of: .server)
                async let upgraded = run(
                    try Programs.ctl, ["upgrade", "--socket", ServiceWorld.Unit.server.socket], within: .seconds(60))
                try await eventually("a drain") { try await world.property("StatusText", of: .server).contains("drains") }
                try await world.talk(on: stream)
                try await stream.close()
                #expect(try await upgraded.end == .exit(0))
                #expect(try await world.property("MainPID", of: .server) == pid)
                try await world.waitForTunnel(within: .seconds(40))
            }
        }

        @Test("a program that would not start is refused, and nothing changes")
        func aProgramThatWouldNotStart() async throws {
            try await ServiceWorld.with { world in
                let stream = try await world.open(port: world.forwardPort)
                try world.configure(.server, extra: ["  no_such_key: 1"])
                let result = try await run(try Programs.ctl, ["upgrade", "--socket", ServiceWorld.Unit.server.socket])
                #expect(result.end == .exit(78) || result.end == .exit(69))
                #expect(result.errors.contains("no_such_key"))
                try await world.talk(on: stream)
                try await stream.close()
            }
        }

        private func replace(_ unit: ServiceWorld.Unit, _ way: String, _ world: ServiceWorld) async throws {
            if way == "restart" {
                try await world.systemctl("restart", unit.name)
            } else {
                try await runWell(try Programs.ctl, ["upgrade", "--socket", unit.socket], within: .seconds(60))
            }
        }
    }
}
