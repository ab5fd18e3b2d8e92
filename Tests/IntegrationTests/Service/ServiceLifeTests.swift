import Testing

extension Integration {
    /// Start, status, stop, reload, exit codes: what systemd is told and what it makes of it.
    @Suite("Under systemd: life", .enabled(if: ServiceWorld.isHere, "run by scripts/test-systemd"))
    struct ServiceLifeTests {
        @Test("started means listening, as the service's own user")
        func startedMeansListening() async throws {
            try await ServiceWorld.with(starts: [.server]) { world in
                try await TestConnection.connect(port: world.linkPort).close()
                #expect(try await world.property("StatusText", of: .server) == "single server, 0 clients, 0 streams")
                let pid = try await world.property("MainPID", of: .server)
                let user = try await runWell("/usr/bin/stat", ["-c", "%U", "/proc/\(pid)"])
                #expect(user == "gotunnel\n")
            }
        }

        @Test("a port that is taken is tried again until it is free")
        func aTakenPort() async throws {
            try await ServiceWorld.with(starts: []) { world in
                let blocker = try await TestServer.echo(port: world.linkPort)
                _ = try? await world.systemctl("start", "--no-block", ServiceWorld.Unit.server.name)
                try await eventually("two attempts") { try await world.number("NRestarts", of: .server) >= 2 }
                #expect(try await world.property("ActiveState", of: .server) == "activating")
                await blocker.stop()
                try await world.expect("ActiveState", "active", of: .server)
            }
        }

        @Test("a wrong configuration is not tried again")
        func aWrongConfiguration() async throws {
            try await ServiceWorld.with(starts: []) { world in
                try world.configure(.server, extra: ["  no_such_key: 1"])
                let result = try await run("/usr/bin/systemctl", ["start", ServiceWorld.Unit.server.name])
                #expect(result.end != .exit(0))
                #expect(try await world.property("ExecMainStatus", of: .server) == "78")
                try await Task.sleep(for: .seconds(1.5))
                #expect(try await world.property("ActiveState", of: .server) == "failed")
                #expect(try await world.number("NRestarts", of: .server) == 0)
            }
        }

        @Test("a client that every server refuses is not tried again")
        func aWrongToken() async throws {
            try await ServiceWorld.with(starts: [.server]) { world in
                try world.write("/etc/gotunnel/secrets/other", otherToken, mode: 0o600)
                try world.configure(.client, token: "$CREDENTIALS_DIRECTORY/secret_other")
                _ = try? await world.systemctl("start", ServiceWorld.Unit.client.name)
                try await world.expect("ExecMainStatus", "77", of: .client)
                try await world.expect("ActiveState", "failed", of: .client)
                #expect(try await world.number("NRestarts", of: .client) == 0)
            }
        }

        @Test("what crashes is started again", arguments: ["kill", "exit"])
        func crashes(how: String) async throws {
            try await ServiceWorld.with { world in
                if how == "kill" {
                    try await world.systemctl("kill", "-s", "KILL", ServiceWorld.Unit.server.name)
                } else {
                    try await world.suffer("exit-70", .server)
                }
                try await world.expect("NRestarts", "1", of: .server)
                try await world.waitForTunnel()
            }
        }

        @Test("the status line follows")
        func statusLine() async throws {
            try await ServiceWorld.with { world in
                try await world.expect("StatusText", "single server, 1 client, 0 streams", of: .server)
                let stream = try await world.open(port: world.forwardPort)
                try await world.expect("StatusText", "single server, 1 client, 1 stream", of: .server)
                try await world.expect("StatusText", "1 link: controller-1 active; 1 stream", of: .client)
                try await stream.close()
                try await world.expect("StatusText", "single server, 1 client, 0 streams", of: .server)
            }
        }

        @Test("stop drains: a stream goes on until it ends by itself")
        func stopDrains() async throws {
            try await ServiceWorld.with { world in
                let stream = try await world.open(port: world.mappedPort)
                try await world.systemctl("stop", "--no-block", ServiceWorld.Unit.server.name)
                try await world.expect("ActiveState", "deactivating", of: .server)
                try await eventually("a status that says so") {
                    try await world.property("StatusText", of: .server).contains("drains")
                }
                try await world.talk(on: stream)
                try await stream.close()
                try await world.expect("ActiveState", "inactive", of: .server)
                #expect(try await world.property("Result", of: .server) == "success")
            }
        }

        @Test("reload takes a good configuration and refuses a bad one")
        func reload() async throws {
            try await ServiceWorld.with { world in
                let stream = try await world.open(port: world.forwardPort)
                try world.configure(.server, extra: ["  log_level: debug"])
                try await world.systemctl("reload", ServiceWorld.Unit.server.name)
                try await eventually("the change in the journal") {
                    try await world.journal("_SYSTEMD_UNIT=gotunnel-server.service").contains {
                        $0.contains("configuration reloaded")
                    }
                }
                try world.configure(.server, extra: ["  log_levle: debug"])
                try await world.systemctl("reload", ServiceWorld.Unit.server.name)
                try await eventually("the refusal in the journal") {
                    try await world.journal("MESSAGE_ID=7f40a65ce6e72798c07e6de95a6a4069").contains { $0.contains("log_levle") }
                }
                try await world.expect("ActiveState", "active", of: .server)
                try await world.talk(on: stream)
                try await stream.close()
            }
        }

        @Test("a connection to the link port starts the server and waits for it")
        func socketActivation() async throws {
            try await ServiceWorld.with(starts: []) { world in
                try await world.activate()
                try await world.expect("ActiveState", "active", of: .server)
                let stream = try await world.open(port: world.forwardPort)
                try await world.systemctl("restart", ServiceWorld.Unit.server.name)
                try await world.talk(on: stream)
                try await stream.close()
                try await world.systemctl("stop", "gotunnel-server.socket")
            }
        }

        @Test("nothing can be written but the service's own directories")
        func nothingElseIsWritable() async throws {
            try await ServiceWorld.with(starts: [.server]) { world in
                let pid = try await world.property("MainPID", of: .server)
                func canWrite(_ folder: String) async throws -> Bool {
                    // Root of this machine, in the mounts of the service: what is read-only there is so for everybody.
                    let command = ["-t", pid, "-m", "--", "/usr/bin/touch", "\(folder)/written"]
                    return try await run("/usr/bin/nsenter", command).end == .exit(0)
                }
                for folder in ["/etc/gotunnel", "/usr", "/var", "/var/lib", "/opt", "/"] {
                    #expect(try await canWrite(folder) == false, "\(folder)")
                }
                for folder in ["/var/lib/gotunnel/server", "/run/gotunnel"] {
                    #expect(try await canWrite(folder), "\(folder)")
                }
            }
        }
    }
}
