import Testing

extension Integration {
    /// iperf3, whose control connection and data connections all go through the forward.
    @Suite struct ThroughputTests {
        @Test(arguments: [[], ["--reverse"], ["--bidir", "--parallel", "2"]])
        func iperfThroughTheForward(direction: [String]) async throws {
            let iperf = try Programs.installed("iperf3")
            try await TemporaryFolder.with { folder in
                let port = try FreePorts.one()
                let arguments = ["--server", "--bind", "127.0.0.1", "--port", "\(port)", "--forceflush"]
                try await RunningProgram.with(iperf, arguments, name: "iperf3", in: folder) { server in
                    try await eventually("iperf3 to listen") { isListening(port) ? true : nil }
                    // iperf3 serves one test at a time, and a health check's connection would be one.
                    let health = "health: {type: tcp, interval: 1h, unhealthy_after: 100}"
                    try await TunnelPair.with(TunnelSetup(services: ["iperf": port], serviceLines: ["iperf": health])) { pair in
                        let report = try await Self.measure(iperf, try pair.forward("iperf"), direction)
                        #expect(report["error"] == .null, "\(report["error"])")
                        let end = report["end"]
                        for sum in ["sum_sent", "sum_received"] {
                            #expect((end[sum]["bytes"].int ?? 0) > 0, "expected bytes in \(sum)")
                        }
                        if direction.contains("--bidir") {
                            #expect((end["sum_received_bidir_reverse"]["bytes"].int ?? 0) > 0, "expected bytes in reverse")
                        }
                        #expect(end["streams"].items.count == (direction.contains("--bidir") ? 4 : 1))
                        #expect(try pair.client.isRunning && pair.server.isRunning)
                        let admin = pair.clientAdmin
                        try await eventually("no streams left") { try await admin.status()["streams"].int == 0 ? true : nil }
                    }
                    #expect(server.isRunning)
                }
            }
        }

        /// The server may still be closing the health check's connection, and is busy until then.
        private static func measure(_ iperf: String, _ port: Int, _ direction: [String]) async throws -> JSON {
            let arguments = ["--client", "127.0.0.1", "--port", "\(port)", "--time", "3", "--json"] + direction
            for _ in 0..<10 {
                let result = try await run(iperf, arguments, within: .seconds(30))
                let report = try JSON(result.output)
                guard report["error"].text?.contains("busy") == true else { return report }
                try await Task.sleep(for: .milliseconds(200))
            }
            throw Unmet("expected iperf3 to have time for a test")
        }
    }
}
