import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// Draining: on a signal, by `gotunnelctl`, called off again; and the end of both processes.
    @Suite struct DrainTests {
        @Test(arguments: [SIGTERM, SIGINT])
        func aSignalLetsAnOpenTransferFinish(signal: Int32) async throws {
            let count = 8 << 20
            let source = try await TestServer.source(count: count, seed: 7)
            try await TunnelPair.with(TunnelSetup(services: ["data": source.port], server: "drain_timeout: 20s")) { pair in
                let transfer = try await TestConnection.connect(port: try pair.forward("data"))
                let begin = try await transfer.read(100_000)
                try pair.server.signal(signal)
                let (server, client) = (pair.serverAdmin, pair.clientAdmin)
                try await eventually("a draining server that is not ready") {
                    let answer = try await server.request("/readyz")
                    return answer.status == 503 && answer.body == "not ready: draining\n" ? true : nil
                }
                try await eventually("the client to have heard GOAWAY") {
                    try pair.client.log.contains("server drains") ? true : nil
                }
                // A new connection is not served by a server that drains, and is not left hanging.
                #expect(try await TestConnection.fate(port: try pair.forward("data"), within: .seconds(15)) == .reset)
                #expect(try pair.server.isRunning, "expected the server to wait for the transfer")
                #expect(try await client.status()["streams"].int == 1)
                let rest = try await transfer.readToEnd(within: .seconds(30))
                var expected = TestBytes(seed: 7)
                #expect(begin + rest == expected.next(count), "expected the whole transfer")
                try await transfer.close()
                #expect(try await pair.server.exit(within: .seconds(15)) == .exit(0))
                #expect(try pair.server.log.contains("server has stopped"))
                #expect(try !pair.server.log.contains("drain deadline reached"))
            }
            await source.stop()
        }

        @Test func theDeadlineResetsWhatIsLeft() async throws {
            let echo = try await TestServer.echo()
            try await TunnelPair.with(TunnelSetup(services: ["one": echo.port], server: "drain_timeout: 1s")) { pair in
                let stream = try await TestConnection.connect(port: try pair.forward("one"))
                try await stream.write("a")
                #expect(try await stream.readText(1) == "a")
                try pair.server.signal(SIGTERM)
                #expect(try await stream.ending(within: .seconds(15)) == .reset)
                #expect(try await pair.server.exit(within: .seconds(15)) == .exit(0))
                let line = "drain deadline reached; the streams left are reset event=drain-cut-short streams=1"
                #expect(try pair.server.log.contains(line))
                // The session ends after that, and tells a control plane that must still be there to be told.
                #expect(try !pair.server.log.contains("EventLoop"), "a part was told something after its end")
            }
            await echo.stop()
        }

        @Test func drainWaitsAndUndrainTakesItBack() async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(services: ["one": echo.port], exposures: ["web": echo.port], server: "drain_timeout: 30s")
            try await TunnelPair.with(setup) { pair in
                let stream = try await TestConnection.connect(port: try pair.forward("one"))
                try await stream.write("a")
                #expect(try await stream.readText(1) == "a")
                let drained = try await pair.serverAdmin.ctl("drain")
                #expect(drained.end == .exit(0) && drained.output == "draining: 1 stream is left\n", "\(drained)")
                let status = try await pair.serverAdmin.json("status")
                #expect(status["draining"].bool == true && status["ready"].bool == false)
                let mapped = try pair.exposure("web")
                try await eventually("a closed mapped port") { isListening(mapped) ? nil : true }
                // A reload applies every registration anew; that does not open the port again.
                #expect(try await pair.serverAdmin.ctl("reload").end == .exit(0))
                // Behind this answer the server's loops have done what the reload asked of them.
                #expect(try await pair.serverAdmin.ctl("exposures").end == .exit(0))
                #expect(!isListening(mapped))
                // The stream that stands goes on.
                try await stream.write("b")
                #expect(try await stream.readText(1) == "b")
                let undrained = try await pair.serverAdmin.ctl("undrain")
                #expect(undrained.end == .exit(0), "\(undrained)")
                try await pair.whenReady()
                for port in [try pair.forward("one"), mapped] {
                    try await TestConnection.connect(port: port).use { connection in
                        try await connection.write("c")
                        #expect(try await connection.readText(1) == "c")
                    }
                }
                try await stream.close()
                let waited = try await pair.serverAdmin.ctl("drain", "--wait")
                let left = try await pair.serverAdmin.request("/v1/streams").body
                #expect(waited.end == .exit(0) && waited.output == "drained: no streams are left\n", "\(waited); \(left)")
                #expect(try pair.server.isRunning, "expected drain to leave the process alone")
            }
            await echo.stop()
        }

        @Test(arguments: [SIGTERM, SIGINT])
        func aClientLetsAnOpenTransferFinish(signal: Int32) async throws {
            let count = 4 << 20
            let source = try await TestServer.source(count: count, seed: 9)
            try await TunnelPair.with(TunnelSetup(services: ["data": source.port])) { pair in
                let transfer = try await TestConnection.connect(port: try pair.forward("data"))
                let begin = try await transfer.read(100_000)
                try pair.client.signal(signal)
                let port = try pair.forward("data")
                try await eventually("a closed forward") { isListening(port) ? nil : true }
                let rest = try await transfer.readToEnd(within: .seconds(20))
                #expect((begin + rest).count == count)
                try await transfer.close()
                #expect(try await pair.client.exit(within: .seconds(15)) == .exit(0))
                let admin = pair.serverAdmin
                try await eventually("a server without clients") { try await admin.status()["clients"].int == 0 ? true : nil }
            }
            await source.stop()
        }

        @Test func aKilledServerComesBackAndSoDoesTheClient() async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(services: ["one": echo.port], exposures: ["web": echo.port])
            try await TunnelPair.with(setup) { pair in
                let streams = [
                    try await TestConnection.connect(port: try pair.forward("one")),
                    try await TestConnection.connect(port: try pair.exposure("web")),
                ]
                for stream in streams {
                    try await stream.write("a")
                    #expect(try await stream.readText(1) == "a")
                }
                try pair.server.signal(SIGKILL)
                #expect(try await pair.server.exit() == .signal(SIGKILL))
                #expect(try await streams[0].ending(within: .seconds(15)) == .reset)
                // This one ended at the server itself: how, is the kernel's affair.
                _ = try await streams[1].ending(within: .seconds(15))
                try await pair.startServer()
                try await pair.whenReady(within: .seconds(30))
                for port in [try pair.forward("one"), try pair.exposure("web")] {
                    try await TestConnection.connect(port: port).use { connection in
                        try await connection.write("b")
                        #expect(try await connection.readText(1) == "b")
                    }
                }
            }
            await echo.stop()
        }

        @Test func aKilledClientTakesItsNameAndPortsOverAgain() async throws {
            let echo = try await TestServer.echo()
            try await TunnelPair.with(TunnelSetup(exposures: ["web": echo.port])) { pair in
                let stream = try await TestConnection.connect(port: try pair.exposure("web"))
                try await stream.write("a")
                #expect(try await stream.readText(1) == "a")
                try pair.client.signal(SIGKILL)
                #expect(try await pair.client.exit() == .signal(SIGKILL))
                try await pair.startClient()
                // The new instance of the same installation evicts the old one, whose streams cannot go on.
                #expect(try await stream.ending(within: .seconds(15)) == .reset)
                try await pair.whenReady()
                #expect(try await pair.serverAdmin.json("clients").items.count == 1)
            }
            await echo.stop()
        }
    }
}
