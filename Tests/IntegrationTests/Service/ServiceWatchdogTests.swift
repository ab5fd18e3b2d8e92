import Testing

extension Integration {
    /// What hangs is killed and started again.
    @Suite("Under systemd: watchdog", .enabled(if: ServiceWorld.isHere, "run by scripts/test-systemd"))
    struct ServiceWatchdogTests {
        /// Short, so that the test is; the units' own is longer.
        private static let interval = ["WatchdogSec=2s"]

        @Test(
            "a stopped process, a blocked loop, control plane or disk",
            arguments: ["stop", "block-loop", "block-control", "block-disk"])
        func theServerHangs(how: String) async throws {
            try await ServiceWorld.with(dropIns: [.server: Self.interval]) { world in
                try await self.hang(.server, how, world)
            }
        }

        @Test("a client that hangs", arguments: ["stop", "block-loop"])
        func theClientHangs(how: String) async throws {
            try await ServiceWorld.with(dropIns: [.client: Self.interval]) { world in
                try await self.hang(.client, how, world)
            }
        }

        private func hang(_ unit: ServiceWorld.Unit, _ how: String, _ world: ServiceWorld) async throws {
            let before = try await world.property("MainPID", of: unit)
            if how == "stop" {
                try await world.systemctl("kill", "-s", "STOP", unit.name)
            } else {
                try await world.suffer(how, unit)
            }
            // Its interval, what systemd takes to end it (with a core dump, perhaps), and the pause before the next start.
            try await world.expect("NRestarts", "1", of: unit, within: .seconds(20))
            try await world.expect("ActiveState", "active", of: unit)
            #expect(try await world.property("MainPID", of: unit) != before)
            let said = try await world.journal("UNIT=\(unit.name)").contains {
                $0.contains("Watchdog timeout") || $0.contains("Watchdog request")
            }
            #expect(said, "systemd says that it was the watchdog")
            try await world.waitForTunnel(within: .seconds(30))
        }

        @Test("a busy process is left alone")
        func aBusyProcess() async throws {
            try await ServiceWorld.with(dropIns: [.server: Self.interval]) { world in
                let end = ContinuousClock.now + .seconds(6)
                while ContinuousClock.now < end {
                    let stream = try await world.open(port: world.forwardPort)
                    try await stream.write([UInt8](repeating: 7, count: 1 << 20))
                    _ = try await stream.read(1 << 20)
                    try await stream.close()
                }
                #expect(try await world.number("NRestarts", of: .server) == 0)
                let margin = try await AdminAccess(socket: ServiceWorld.Unit.server.socket)
                    .metric("gotunnel_watchdog_margin_ratio{which=\"lowest\"}")
                #expect((margin ?? 0) > 0)
            }
        }
    }
}
