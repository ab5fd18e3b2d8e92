import Testing

extension Integration {
    /// The link breaks under a stream, in every way that a network knows, and the stream goes on.
    @Suite struct LinkBreakTests {
        private static let setup = TunnelSetup(client: "heartbeat_interval: 150ms\nheartbeat_timeout: 600ms", hasProxy: true)

        @Test(arguments: BreakableProxy.Break.allCases)
        func aStreamOutlivesItsLink(how: BreakableProxy.Break) async throws {
            let echo = try await TestServer.echo()
            var setup = Self.setup
            (setup.services, setup.exposures) = (["one": echo.port], ["web": echo.port])
            try await TunnelPair.with(setup) { pair in
                let proxy = try #require(pair.proxy)
                for port in [try pair.forward("one"), try pair.exposure("web")] {
                    let stream = try await TestConnection.connect(port: port)
                    try await stream.write("before")
                    #expect(try await stream.readText(6) == "before")
                    try await proxy.breakAll(how)
                    try await stream.write("after")
                    #expect(try await stream.readText(5, within: .seconds(20)) == "after")
                    try await stream.close()
                }
                #expect(try await proxy.counts.breaks == 2)
                let admin = pair.serverAdmin
                #expect(try await admin.metric("gotunnel_session_resumes_total") == 2)
                #expect(try await admin.status()["sessions"]["resumes"].int == 2)
                #expect(try pair.client.log.contains("session resumed") && pair.server.log.contains("client resumed its session"))
            }
            await echo.stop()
        }

        @Test(arguments: BreakableProxy.Direction.allCases, BreakableProxy.Break.allCases)
        func aTransferOutlivesACutAtAnyByte(direction: BreakableProxy.Direction, how: BreakableProxy.Break) async throws {
            let count = 2 << 20
            let source = try await TestServer.source(count: count, seed: 3)
            let sink = try await TestServer.sink()
            var setup = Self.setup
            setup.services = ["down": source.port, "up": sink.port]
            try await TunnelPair.with(setup) { pair in
                let proxy = try #require(pair.proxy)
                try await proxy.breakAfter(count / 3 + 17, direction, how)
                var bytes = TestBytes(seed: 3)
                let whole = bytes.next(count)
                if direction == .toClient {
                    let download = try await TestConnection.connect(port: try pair.forward("down"))
                    #expect(try await download.readToEnd(within: .seconds(30)) == whole)
                } else {
                    let upload = try await TestConnection.connect(port: try pair.forward("up"))
                    try await upload.write(whole)
                    try await upload.finish()
                    let answer = String(decoding: try await upload.readToEnd(within: .seconds(30)), as: UTF8.self)
                    #expect(answer == "\(count) \(TestBytes.digest(seed: 3, count: count))\n")
                }
                #expect(try await proxy.counts.breaks == 1)
            }
            await source.stop()
            await sink.stop()
        }

        @Test func aPauseThatIsShortIsNotNoticed() async throws {
            let echo = try await TestServer.echo()
            var setup = Self.setup
            setup.services = ["one": echo.port]
            setup.client = ""
            try await TunnelPair.with(setup) { pair in
                let proxy = try #require(pair.proxy)
                let stream = try await TestConnection.connect(port: try pair.forward("one"))
                try await proxy.pause()
                try await stream.write("held back")
                try await Task.sleep(for: .milliseconds(300))
                try await proxy.heal()
                #expect(try await stream.readText(9) == "held back")
                #expect(try await pair.serverAdmin.metric("gotunnel_session_resumes_total") == 0)
                #expect(try await proxy.counts.connections == 1)
            }
            await echo.stop()
        }

        /// With one server, a session waits for its server for the whole window; then its streams are reset.
        @Test func aLinkThatStaysAwayEndsTheSession() async throws {
            let echo = try await TestServer.echo()
            var setup = Self.setup
            setup.services = ["one": echo.port]
            setup.client += "\nresume_window: [200ms, 1s]"
            try await TunnelPair.with(setup) { pair in
                let proxy = try #require(pair.proxy)
                let stream = try await TestConnection.connect(port: try pair.forward("one"))
                try await stream.write("a")
                #expect(try await stream.readText(1) == "a")
                try await proxy.refuse(true)
                try await proxy.breakAll(.reset)
                #expect(try await stream.ending(within: .seconds(20)) == .reset)
                try await proxy.refuse(false)
                try await pair.whenReady(within: .seconds(40))
                let again = try await TestConnection.connect(port: try pair.forward("one"))
                try await again.write("b")
                #expect(try await again.readText(1) == "b")
            }
            await echo.stop()
        }
    }
}
