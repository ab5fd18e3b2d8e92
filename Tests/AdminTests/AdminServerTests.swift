import Logging
import Synchronization
import Testing

@testable import Admin

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A daemon that answers with samples and writes down what it was told to do.
final class FakeSource: AdminSource {
    private let calls = Mutex<[String]>([])
    private let reason = Mutex<String?>(nil)

    var told: [String] { calls.withLock { $0 } }

    func setReason(_ text: String?) {
        reason.withLock { $0 = text }
    }

    private func record(_ call: String) -> ActionResult {
        calls.withLock { $0.append(call) }
        return ActionResult(call)
    }

    func readiness() async -> String? { reason.withLock { $0 } }
    func status() async throws -> DaemonStatus { .server(Samples.server) }
    func clients() async throws -> [ClientRow] { [Samples.clientRow] }
    func exposures() async throws -> [ExposureRow] { [Samples.exposureRow] }
    func streams() async throws -> [StreamRow] { [Samples.streamRow] }
    func drain(wait: Bool) async throws -> ActionResult { record("drain \(wait)") }
    func undrain() async throws -> ActionResult { record("undrain") }

    func reload() async throws -> ActionResult {
        throw AdminError(422, "config.yaml:3: server.adr is unknown; did you mean addr?\nconfig.yaml:4: \u{1b}bad")
    }

    func evict(client: String) async throws -> ActionResult {
        guard client == "k8s-worker-01" else { throw AdminError.notFound("no client named \(client) has a session here") }
        return record("evict \(client)")
    }
}

@Suite(.timeLimit(.minutes(2))) struct AdminServerTests {
    private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs `body` against a server on a fresh Unix socket and a TCP port.
    private func withServer(
        limits: AdminLimits = AdminLimits(),
        _ body: (_ socket: String, _ tcp: String, _ source: FakeSource) async throws -> Void
    ) async throws {
        try await withDirectory { directory in
            let socket = directory + "/run/server.sock"
            let source = FakeSource()
            let registry = MetricsRegistry()
            registry.counter("test_total").increment(by: 5)
            let unix = try AdminListener.unix(path: socket)
            let tcp = try AdminListener.tcp("127.0.0.1:0")
            let server = AdminServer(source: source, registry: registry, listeners: [unix, tcp], limits: limits, logger: quiet)
            let running = Task { try await server.run() }
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(socket, tcp.place, source))
            } catch {
                result = .failure(error)
            }
            running.cancel()
            try await running.value
            #expect(UnixSocket.probe(socket) == .absent)
            try result.get()
        }
    }

    @Test func everyReadingEndpointAnswersOnBothListeners() async throws {
        try await withServer { socket, tcp, _ in
            let client = AdminClient(socket: socket)
            #expect(try await client.status() == .server(Samples.server))
            #expect(try await client.peers() == [])
            #expect(try await client.clients() == [Samples.clientRow])
            #expect(try await client.exposures() == [Samples.exposureRow])
            #expect(try await client.streams() == [Samples.streamRow])
            for path in [
                "/healthz", "/readyz", "/metrics", "/v1/status", "/v1/peers", "/v1/clients", "/v1/exposures", "/v1/streams",
            ] {
                let local = try await RawHTTP.unix(socket, "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                let remote = try await RawHTTP.tcp(tcp, "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                #expect(local.status == 200)
                #expect(remote.status == 200)
                #expect(local.body == remote.body)
                #expect(local.head.contains(path.hasPrefix("/v1/") ? "application/json" : "text/plain"))
            }
            let metrics = try await RawHTTP.tcp(tcp, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(metrics.body == "# TYPE test_total counter\ntest_total 5\n")
        }
    }

    /// NIO ends the process when a connection that it accepted is dropped before anybody took it, which a cancelled loop
    /// over new connections does.
    @Test func connectionsThatArriveDuringAShutdownAreClosed() async throws {
        for _ in 0..<30 {
            var connections: [CInt] = []
            try await withServer { socket, _, _ in
                for _ in 0..<40 { connections.append(try RawHTTP.connect(unix: socket)) }
            }
            for connection in connections { close(connection) }
        }
    }

    @Test func readinessSaysWhyNot() async throws {
        try await withServer { socket, _, source in
            source.setReason("draining\nreally")
            let answer = try await RawHTTP.unix(socket, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(answer.status == 503)
            #expect(answer.body == "not ready: draining?really\n")
            let alive = try await RawHTTP.unix(socket, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(alive.status == 200)
        }
    }

    @Test func actionsWorkOnTheSocket() async throws {
        try await withServer { socket, _, source in
            let client = AdminClient(socket: socket)
            #expect(try await client.drain(wait: false) == ActionResult("drain false"))
            _ = try await client.drain(wait: true)
            _ = try await client.undrain()
            _ = try await client.evict(client: "K8s-worker-01")
            let bare = try await RawHTTP.unix(
                socket, "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            #expect(bare.status == 200)
            #expect(source.told == ["drain false", "drain true", "undrain", "evict k8s-worker-01", "drain false"])
        }
    }

    @Test func errorsSayWhatIsWrongAndWhatToExitWith() async throws {
        try await withServer { socket, _, _ in
            let client = AdminClient(socket: socket)
            await expectError(404, 69, "no client named other has a session here") { try await client.evict(client: "other") }
            await expectError(501, 69, "this server has no peers") { try await client.move(client: "k8s-worker-01", to: "b") }
            await expectError(422, 78, "config.yaml:3: server.adr is unknown; did you mean addr?\nconfig.yaml:4: ?bad") {
                try await client.reload()
            }
            await expectError(400, 64, "\"a/b?\" is not the name of a client") { try await client.evict(client: "a/b\u{e9}") }
            await expectError(404, 69, "no such endpoint: GET /v1/nothing") { try await client.raw("/v1/nothing") }
            await expectError(404, 69, "no such endpoint: GET /v1/drain") { try await client.raw("/v1/drain") }
        }
    }

    private func expectError(
        _ status: Int, _ exitCode: Int32, _ text: String, _ body: () async throws -> some Any,
        at location: SourceLocation = #_sourceLocation
    ) async {
        do {
            _ = try await body()
            Issue.record("no error", sourceLocation: location)
        } catch {
            #expect(
                error as? AdminClientError == AdminClientError(description: text, exitCode: exitCode, status: status),
                sourceLocation: location)
        }
    }

    @Test func tcpOnlyReads() async throws {
        try await withServer { _, tcp, source in
            for path in [
                "/v1/drain", "/v1/undrain", "/v1/reload", "/v1/clients/k8s-worker-01/evict", "/v1/clients/k8s-worker-01/move",
            ] {
                let answer = try await RawHTTP.tcp(
                    tcp, "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                #expect(answer.status == 403)
                #expect(answer.body.contains("use the admin socket"))
            }
            #expect(source.told.isEmpty)
        }
    }

    @Test func requestsThatAreTooLargeAreRefused() async throws {
        try await withServer { socket, _, source in
            let body = String(repeating: " ", count: 70_000)
            let large = try await RawHTTP.unix(
                socket, "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + body)
            #expect(large.status == 413)
            #expect(large.body.contains("{\"error\":\"the body is larger than 65536 bytes\"}"))
            let head = try await RawHTTP.unix(
                socket, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Fill: \(String(repeating: "f", count: 40_000))\r\n\r\n")
            #expect(head.status == 400)
            let broken = try await RawHTTP.unix(
                socket, "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\n[1]")
            #expect(broken.status == 400)
            let garbage = try await RawHTTP.unix(socket, "\u{1}\u{2}\u{3} nonsense\r\n\r\n")
            #expect(garbage.status == 400)
            #expect(source.told.isEmpty)
        }
    }

    @Test func slowAndSurplusCallersAreClosed() async throws {
        var limits = AdminLimits()
        limits.idle = .milliseconds(300)
        limits.request = .milliseconds(300)
        limits.connections = 2
        try await withServer(limits: limits) { socket, _, _ in
            // Neither a head that never ends nor a body that never ends holds its connection: both calls return because the
            // server closes.
            let head = try await RawHTTP.unix(socket, "GET /healthz HTTP/1.1\r\nHo")
            #expect(head.status == 0)
            let body = try await RawHTTP.unix(socket, "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            #expect(body.status == 0)
        }
        limits.idle = .seconds(60)
        try await withServer(limits: limits) { socket, _, _ in
            let held = try (0..<2).map { _ in try RawHTTP.connect(unix: socket) }
            let surplus = try await RawHTTP.unix(socket, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(surplus.status == 0)
            for descriptor in held { close(descriptor) }
        }
    }

    @Test func aCallerThatStaysDoesNotHoldUpTheEnd() async throws {
        var held: CInt = -1
        // Returns only when the server has ended, although this connection is still open at the caller's end.
        try await withServer { socket, _, _ in
            held = try RawHTTP.connect(unix: socket)
            let answer = try await RawHTTP.unix(socket, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(answer.status == 200)
        }
        close(held)
    }

    @Test func anAnswerThatTakesTooLongIsAnError() async throws {
        await #expect(throws: AdminError.self) {
            try await withDeadline(.milliseconds(50)) { try await Task.sleep(for: .seconds(3600)) }
        }
        #expect(try await withDeadline(.seconds(60)) { 7 } == 7)
    }
}
