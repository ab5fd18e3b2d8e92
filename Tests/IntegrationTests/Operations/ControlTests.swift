import Testing

extension Integration {
    /// `gotunnelctl` against both daemons, and the admin API that it uses.
    @Suite struct ControlTests {
        @Test func theTablesOfBothEndsAgree() async throws {
            let echo = try await TestServer.echo()
            let setup = TunnelSetup(services: ["one": echo.port], exposures: ["web": echo.port])
            try await TunnelPair.with(setup) { pair in
                let forward = try await TestConnection.connect(port: try pair.forward("one"))
                let exposure = try await TestConnection.connect(port: try pair.exposure("web"))
                for stream in [forward, exposure] {
                    try await stream.write("12345")
                    #expect(try await stream.readText(5) == "12345")
                }
                try await Self.checkServer(pair, target: echo.port)
                try await Self.checkClient(pair, target: echo.port)
                for admin in [pair.serverAdmin, pair.clientAdmin] {
                    let rows = try await admin.json("streams").items
                    #expect(rows.count == 2)
                    #expect(rows.map { $0["kind"].text }.sorted { ($0 ?? "") < ($1 ?? "") } == ["exposure", "forward"])
                    #expect(rows.allSatisfy { $0["client"].text == TunnelPair.clientName && $0["state"].text == "open" })
                    #expect(rows.allSatisfy { $0["bytes_in"].int == 5 && $0["bytes_out"].int == 5 }, "\(rows)")
                    #expect(rows.allSatisfy { $0["source"].text?.hasPrefix("127.0.0.1:") == true })
                }
            }
            await echo.stop()
        }

        private static func checkServer(_ pair: TunnelPair, target: Int) async throws {
            let status = try await pair.serverAdmin.json("status")
            #expect(status["name"].text == TunnelPair.serverName && status["role"].text == "single" && status["term"].int == 0)
            #expect(status["leader"] == .null && status["peers"] == .array([]))
            #expect(status["ready"].bool == true && status["draining"].bool == false)
            #expect(status["clients"].int == 1 && status["streams"].int == 2)
            #expect(status["services"][0]["name"].text == "one" && status["services"][0]["healthy"].bool == true)
            #expect(status["services"][0]["targets"][0]["addr"].text == "127.0.0.1:\(target)")
            let pid = try pair.server.pid
            #expect(status["process"]["pid"].int == Int(pid))
            let client = try await pair.serverAdmin.json("clients")[0]
            #expect(client["name"].text == TunnelPair.clientName && client["instance"].text?.count == 32)
            #expect(client["servers"] == .array([.string(TunnelPair.serverName)]) && client["streams"].int == 2)
            #expect(client["exposures"] == .array([.string("web")]) && client["linked"].bool == true)
            #expect(client["since"].text?.hasSuffix("Z") == true)
            let (exposure, mapped) = (try await pair.serverAdmin.json("exposures")[0], try pair.exposure("web"))
            #expect(exposure["client"].text == TunnelPair.clientName && exposure["name"].text == "web")
            #expect(exposure["port"].int == mapped && exposure["healthy"].bool == true)
        }

        private static func checkClient(_ pair: TunnelPair, target: Int) async throws {
            let status = try await pair.clientAdmin.json("status")
            #expect(status["name"].text == TunnelPair.clientName && status["ready"].bool == true && status["streams"].int == 2)
            let link = status["links"][0]
            #expect(link["server"].text == TunnelPair.serverName && link["addr"].text == "127.0.0.1:\(pair.linkPort)")
            #expect(link["state"].text == "active" && link["reason"] == .null)
            let (forward, port, mapped) = (status["forwards"][0], try pair.forward("one"), try pair.exposure("web"))
            #expect(forward["listen"].text == "127.0.0.1:\(port)" && forward["service"].text == "one")
            let exposure = status["exposures"][0]
            #expect(exposure["target"].text == "127.0.0.1:\(target)" && exposure["port"].int == mapped)
        }

        @Test func evictEndsTheSessionAndTheClientComesBack() async throws {
            let echo = try await TestServer.echo()
            try await TunnelPair.with(TunnelSetup(services: ["one": echo.port])) { pair in
                let stream = try await TestConnection.connect(port: try pair.forward("one"))
                try await stream.write("a")
                #expect(try await stream.readText(1) == "a")
                let since = try await pair.serverAdmin.json("clients")[0]["since"].text
                let result = try await pair.serverAdmin.ctl("evict", TunnelPair.clientName)
                #expect(result.end == .exit(0), "\(result)")
                #expect(try await stream.ending() == .reset)
                let admin = pair.serverAdmin
                try await eventually("a new session of the client") {
                    let row = try JSON(try await admin.request("/v1/clients").body)[0]
                    return row["since"].text != nil && row["since"].text != since ? true : nil
                }
                let unknown = try await admin.ctl("evict", "nobody")
                #expect(unknown.end == .exit(69) && unknown.errorLines.count == 1, "\(unknown)")
                #expect(unknown.errors.contains("no client named nobody is connected"), "\(unknown)")
            }
            await echo.stop()
        }

        @Test func whatAClientCannotDoIsRefusedInOneLine() async throws {
            try await TunnelPair.with { pair in
                for arguments in [["drain"], ["undrain"], ["evict", "worker-1"], ["move", "worker-1", "controller-2"]] {
                    let result = try await run(try Programs.ctl, arguments + ["--socket", pair.clientAdmin.socket])
                    #expect(result.end == .exit(69) && result.errorLines.count == 1, "\(arguments): \(result)")
                }
                let reload = try await pair.clientAdmin.ctl("reload")
                #expect(reload.end == .exit(0) && reload.output == "nothing changed\n", "\(reload)")
                let clients = try await pair.clientAdmin.ctl("clients")
                #expect(clients.end == .exit(69) && clients.errorLines.count == 1, "\(clients)")
            }
        }

        @Test func theTCPAddressOnlyReads() async throws {
            let port = try FreePorts.one()
            try await TunnelPair.with(TunnelSetup(serverAdmin: ", addr: \"127.0.0.1:\(port)\"")) { pair in
                for path in [
                    "/healthz", "/readyz", "/metrics", "/v1/status", "/v1/peers", "/v1/clients", "/v1/exposures", "/v1/streams",
                ] {
                    let answer = try await AdminAccess.request(port: port, path)
                    #expect(answer.status == 200, "GET \(path): \(answer)")
                }
                for path in ["/v1/drain", "/v1/undrain", "/v1/reload", "/v1/clients/worker-1/evict", "/v1/clients/worker-1/move"]
                {
                    let answer = try await AdminAccess.request(port: port, path, method: "POST")
                    #expect(answer.status == 403, "POST \(path): \(answer)")
                }
                #expect(try await pair.serverAdmin.isReady(), "expected nothing to have happened")
                #expect(try await pair.serverAdmin.status()["clients"].int == 1)
            }
        }

        @Test(arguments: ["server", "client"])
        func theMetricsAreWellFormed(role: String) async throws {
            let echo = try await TestServer.echo()
            try await TunnelPair.with(TunnelSetup(services: ["one": echo.port], exposures: ["web": echo.port])) { pair in
                try await TestConnection.connect(port: try pair.forward("one")).use { connection in
                    try await connection.write("12345")
                    #expect(try await connection.readText(5) == "12345")
                    let admin = role == "server" ? pair.serverAdmin : pair.clientAdmin
                    let text = try await admin.request("/metrics").body
                    try MetricsText.check(text)
                    #expect(try await admin.metric("gotunnel_streams") == 1)
                    let opener = role == "server" ? "peer" : "local"
                    #expect(try await admin.metric("gotunnel_streams_opened_total{opener=\"\(opener)\"}") == 1)
                    for direction in ["in", "out"] {
                        let bytes = try await admin.metric("gotunnel_bytes_total{direction=\"\(direction)\"}") ?? 0
                        #expect(bytes >= 5, "bytes \(direction)")
                    }
                    #expect(try await admin.metric("gotunnel_links{state=\"active\"}") == 1)
                }
            }
            await echo.stop()
        }
    }
}

/// A strict reading of the Prometheus text exposition format, version 0.0.4.
enum MetricsText {
    static func check(_ text: String) throws {
        var (types, series) = ([String: String](), Set<Substring>())
        #expect(text.hasSuffix("\n"))
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3)
            if line.hasPrefix("# HELP ") { continue }
            if line.hasPrefix("# TYPE ") {
                #expect(types[String(words[2])] == nil, "expected one TYPE of \(words[2])")
                #expect(["counter", "gauge", "histogram"].contains(words[3]), "\(line)")
                types[String(words[2])] = String(words[3])
                continue
            }
            guard let sample = line.wholeMatch(of: /([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)/) else {
                throw Unmet("expected a sample, got: \(line)")
            }
            #expect(Double(sample.3.replacing("+Inf", with: "inf")) != nil, "expected a number: \(line)")
            #expect(series.insert(line.prefix { $0 != " " }).inserted || line.contains("{"), "expected each series once: \(line)")
            if let labels = sample.2 {
                let rule = /\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*")*\}/
                #expect(labels.wholeMatch(of: rule) != nil, "expected labels: \(line)")
            }
            let name = String(sample.1)
            let family = ["_bucket", "_sum", "_count"].compactMap { name.hasSuffix($0) ? String(name.dropLast($0.count)) : nil }
                .first
            let type = types[name] ?? family.flatMap { types[$0] }
            #expect(type != nil, "expected a TYPE before \(line)")
            #expect(name.hasPrefix("gotunnel_"), "\(line)")
            #expect(type != "counter" || name.hasSuffix("_total"), "expected a counter to end in _total: \(line)")
        }
        #expect(types.count > 10)
    }
}
