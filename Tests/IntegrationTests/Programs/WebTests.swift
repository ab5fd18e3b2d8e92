import Crypto
import Foundation
import Testing

extension Integration {
    /// curl and nginx, through a forward and through an exposure.
    @Suite struct WebTests {
        @Test(arguments: ["--http1.1", "--http2"])
        func curlThroughBothDirections(version: String) async throws {
            let curl = try Programs.installed("curl")
            try await TemporaryFolder.with { folder in
                let port = try FreePorts.one()
                let nginx = try await Nginx.start(port: port, isTLS: true, in: folder)
                try await nginx.use { _ in
                    let health = "health: {type: https, path: /readyz, interval: 200ms, insecure: true}"
                    let setup = TunnelSetup(services: ["web": port], exposures: ["web": port], serviceLines: ["web": health])
                    try await TunnelPair.with(setup) { pair in
                        for port in [try pair.forward("web"), try pair.exposure("web")] {
                            let trust = [
                                "--silent", "--show-error", "--max-time", "60", "--cacert", folder["web/tls.crt"], version,
                            ]
                            let place = "https://127.0.0.1:\(port)"
                            let format = "%{http_version} %{response_code}"
                            let small = try await runWell(curl, trust + ["--write-out", format, "\(place)/"])
                            #expect(small == Nginx.greeting + (version == "--http2" ? "2 200" : "1.1 200"))
                            // Several requests on one connection, at once where HTTP/2 allows it.
                            let many = Array(repeating: ["--output", folder["copy"], "\(place)/large"], count: 3).flatMap { $0 }
                            try await runWell(curl, trust + ["--parallel"] + many, within: .seconds(90))
                            let copy = try Data(contentsOf: URL(filePath: folder["copy"]))
                            var bytes = TestBytes(seed: 42)
                            #expect(copy == Data(bytes.next(Nginx.largeCount)), "expected the file as it was sent")
                        }
                    }
                }
            }
        }

        /// The server says something, nothing for a long time, then its end: nobody may have cut the connection meanwhile.
        @Test func anIdleStreamDeliversItsEnd() async throws {
            let isLong = ProcessInfo.processInfo.environment["GOTUNNEL_LONG"] == "1"
            let idle: Duration = isLong ? .seconds(120) : .seconds(20)
            let curl = try Programs.installed("curl")
            let backend = try await TestListener.start()
            let setup = TunnelSetup(
                services: ["events": backend.port],
                serviceLines: ["events": "health: {type: tcp, interval: 1h, unhealthy_after: 100}"])
            try await TunnelPair.with(setup) { pair in
                // The health check's own connection.
                try await backend.accept().close()
                let arguments = ["-N", "--silent", "--show-error", "http://127.0.0.1:\(try pair.forward("events"))/events"]
                try await RunningProgram.with(curl, arguments, name: "curl", in: pair.folder) { curl in
                    let connection = try await backend.accept()
                    let request = try await connection.readText(11)
                    #expect(request == "GET /events")
                    try await connection.write(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nbegin\n")
                    try await eventually("the first event to arrive at once") { curl.output == "begin\n" ? true : nil }
                    try await Task.sleep(for: idle)
                    #expect(curl.isRunning && curl.output == "begin\n")
                    try await connection.write("end\n")
                    try await connection.finish()
                    #expect(try await curl.exit() == .exit(0))
                    #expect(curl.output == "begin\nend\n")
                    try await connection.close()
                }
                let link = try await pair.clientAdmin.status()["links"][0]
                #expect(link["state"].text == "active")
            }
            await backend.stop()
        }
    }
}
