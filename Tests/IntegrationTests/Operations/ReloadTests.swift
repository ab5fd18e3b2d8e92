import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// SIGHUP and `gotunnelctl reload`: what is right takes effect, what is wrong changes nothing.
    @Suite struct ReloadTests {
        @Test func servicesComeChangeAndGo() async throws {
            let (first, second) = (try await TestServer.echo(), try await TestServer.sink())
            var setup = TunnelSetup(services: ["one": first.port, "two": second.port])
            try await TunnelPair.with(setup) { pair in
                let stream = try await TestConnection.connect(port: try pair.forward("two"))
                try await stream.write("x")
                let admin = pair.clientAdmin
                try await eventually("one stream") { try await admin.status()["streams"].int == 1 ? true : nil }
                setup.services["two"] = nil
                try pair.writeServer(setup)
                try pair.server.signal(SIGHUP)
                #expect(try await stream.ending() == .reset, "expected the streams of a removed service to be reset")
                try await eventually("the client to say that the service is gone") {
                    let row = try await admin.status()["forwards"].items.first { $0["service"].text == "two" }
                    return row?["reason"].text == "the server does not offer this service to this client" ? true : nil
                }
                try await Self.echo(through: try pair.forward("one"))
                setup.services["two"] = first.port
                try pair.writeServer(setup)
                try pair.server.signal(SIGHUP)
                try await pair.whenReady()
                try await Self.echo(through: try pair.forward("two"))
                #expect(try pair.server.log.contains("configuration reloaded"))
            }
            await first.stop()
            await second.stop()
        }

        @Test func forwardsAndExposuresFollow() async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(services: ["one": echo.port], exposures: ["web": echo.port])
            try await TunnelPair.with(setup) { pair in
                let (newForward, newMapped) = (try FreePorts.one(), try FreePorts.one())
                let kept = try await TestConnection.connect(port: try pair.forward("one"))
                try await kept.write("a")
                #expect(try await kept.readText(1) == "a")
                var changed = setup
                changed.client = """
                    forwards: [{listen: ["127.0.0.1:\(newForward)"], service: one}]
                    exposures: [{name: shell, target: "127.0.0.1:\(echo.port)", remote_port: \(newMapped)}]
                    """
                try pair.writeClient(changed)
                try pair.client.signal(SIGHUP)
                let (oldForward, oldMapped) = (try pair.forward("one"), try pair.exposure("web"))
                try await eventually("the new listeners in place of the old ones") {
                    isListening(newForward) && isListening(newMapped) && !isListening(oldForward) && !isListening(oldMapped)
                        ? true : nil
                }
                try await Self.echo(through: newForward)
                try await Self.echo(through: newMapped)
                try await kept.write("b")
                #expect(try await kept.readText(1) == "b", "expected a stream that stands to survive the reload")
                try pair.writeClient(setup)
                try pair.client.signal(SIGHUP)
                try await eventually("the old listeners again") {
                    isListening(oldForward) && isListening(oldMapped) && !isListening(newForward) && !isListening(newMapped)
                        ? true : nil
                }
                try await Self.echo(through: oldMapped)
            }
            await echo.stop()
        }

        @Test(arguments: ["server", "client"])
        func aBadFileChangesNothing(role: String) async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(services: ["one": echo.port], exposures: ["web": echo.port])
            try await TunnelPair.with(setup) { pair in
                let (program, admin) = try role == "server" ? (pair.server, pair.serverAdmin) : (pair.client, pair.clientAdmin)
                let path = role == "server" ? pair.serverConfig : pair.clientConfig
                let good = pair.folder.read("\(role).yaml")
                let bad = good + "  log_levl: debug\n"
                try pair.folder.write("\(role).yaml", bad)
                let line = bad.split(separator: "\n").count
                let says = "\(path):\(line): \(role).log_levl: unknown key; did you mean log_level?"
                program.signal(SIGHUP)
                try await eventually("the reload to fail with \(says)") {
                    program.logLines.contains {
                        $0.contains("reload failed; the old configuration stays") && $0.contains(says.quoted)
                    }
                        ? true : nil
                }
                let result = try await admin.ctl("reload")
                #expect(result.end == .exit(78), "\(result)")
                #expect(result.errors.contains(says), "\(result)")
                try await Self.echo(through: try pair.forward("one"))
                try await Self.echo(through: try pair.exposure("web"))
                try pair.folder.write("\(role).yaml", good)
                let again = try await admin.ctl("reload")
                #expect(again.end == .exit(0), "\(again)")
            }
            await echo.stop()
        }

        @Test(arguments: ["server", "client"])
        func theLogLevelChanges(role: String) async throws {
            try await TunnelPair.with { pair in
                let (program, admin) = try role == "server" ? (pair.server, pair.serverAdmin) : (pair.client, pair.clientAdmin)
                let good = pair.folder.read("\(role).yaml")
                try pair.folder.write("\(role).yaml", good + "  log_level: error\n")
                #expect(try await admin.ctl("reload").end == .exit(0))
                let quiet = program.logLines.count
                #expect(try await admin.ctl("reload").end == .exit(0))
                #expect(program.logLines.count == quiet, "expected no notice at level error: \(program.tail)")
                try pair.folder.write("\(role).yaml", good + "  log_level: debug\n")
                #expect(try await admin.ctl("reload").end == .exit(0))
                #expect(program.logLines.count > quiet, "expected notices at level debug: \(program.tail)")
            }
        }

        /// This bound is a promise of the design.
        @Test func removingATokenEndsItsSessionWithinASecond() async throws {
            let echo = try await TestServer.echo()
            try await TunnelPair.with(TunnelSetup(services: ["one": echo.port])) { pair in
                let stream = try await TestConnection.connect(port: try pair.forward("one"))
                try await stream.write("a")
                #expect(try await stream.readText(1) == "a")
                try pair.folder.write("other", otherToken)
                var setup = pair.setup
                setup.server = "tokens: [{id: other, token_file: \"\(pair.folder["other"])\", clients: [worker-2]}]"
                try pair.writeServer(setup)
                let begin = ContinuousClock.now
                try pair.server.signal(SIGHUP)
                #expect(try await stream.ending(within: .seconds(10)) == .reset)
                let took = ContinuousClock.now - begin
                #expect(took < .seconds(1), "expected the session to end within 1 s of the signal, took \(took)")
                let admin = pair.serverAdmin
                try await eventually("no client") { try await admin.status()["clients"].int == 0 ? true : nil }
                #expect(try pair.client.isRunning, "expected a client that was accepted once to keep trying")
                try await eventually("the reason in the server's log") {
                    try pair.server.log.contains("the token of this session was removed") ? true : nil
                }
            }
            await echo.stop()
        }

        @Test func whatNeedsARestartIsSaid() async throws {
            try await TunnelPair.with { pair in
                let good = pair.folder.read("server.yaml")
                try pair.folder.write("server.yaml", good.replacingName("controller-1", "controller-9"))
                let result = try await pair.serverAdmin.ctl("reload")
                #expect(result.end == .exit(0))
                #expect(result.output.contains("server.name") && result.output.contains("restart"), "\(result)")
                #expect(try await pair.serverAdmin.status()["name"].text == "controller-1")
            }
        }

        private static func echo(through port: Int) async throws {
            try await TestConnection.connect(port: port).use { connection in
                try await connection.write("there and back")
                #expect(try await connection.readText(14) == "there and back")
            }
        }
    }
}

extension String {
    /// As a log line holds it inside quotes.
    fileprivate var quoted: String { self.split(separator: "\"").joined(separator: "\\\"") }

    fileprivate func replacingName(_ old: String, _ new: String) -> String {
        self.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0 == "  name: \(old)" ? "  name: \(new)" : String($0) }.joined(separator: "\n")
    }
}
