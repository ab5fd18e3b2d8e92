import AsyncHTTPClient
import NIOCore
import NIOHTTP1

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Why a request of ``AdminClient`` failed, with the exit code that says so (sysexits.h).
package struct AdminClientError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    /// 69: nothing answers, or the daemon cannot do it; 75: too slow; 77: no permission; 70: an answer that makes no sense.
    package let exitCode: Int32
    /// HTTP status of the answer, if there was one.
    package var status: Int?
}

/// Talks to the admin API of a daemon on its Unix socket.
package struct AdminClient: Sendable {
    package let socket: String
    /// For a whole request; not for a drain that waits.
    package let timeout: Duration

    /// Largest answer that is read: the streams of a very busy server take some tens of megabytes.
    private static let largestAnswer = 256 * 1024 * 1024

    package init(socket: String, timeout: Duration = .seconds(20)) {
        self.socket = socket
        self.timeout = timeout
    }

    /// The first of `paths` where something answers (or would, if this user had the right to ask); if there is none, the first.
    package static func firstAnswering(of paths: [String]) -> String? {
        paths.first { path in
            switch UnixSocket.probe(path) {
            case .live, .failed: true
            case .absent, .stale, .notASocket: false
            }
        } ?? paths.first
    }

    package func status() async throws -> DaemonStatus { try await get("/v1/status") }
    package func peers() async throws -> [PeerStatus] { try await get("/v1/peers") }
    package func clients() async throws -> [ClientRow] { try await get("/v1/clients") }
    package func exposures() async throws -> [ExposureRow] { try await get("/v1/exposures") }
    package func streams() async throws -> [StreamRow] { try await get("/v1/streams") }

    /// With `wait`, answers when the drain is over, which the daemon's `drain_timeout` bounds; a day is what this side allows.
    package func drain(wait: Bool) async throws -> ActionResult {
        try await post("/v1/drain", DrainRequest(wait: wait), timeout: wait ? .seconds(86_400) : timeout)
    }

    package func undrain() async throws -> ActionResult { try await post("/v1/undrain") }
    package func reload() async throws -> ActionResult { try await post("/v1/reload") }

    /// Returns when the next program is about to take over; its first sign is another time of start.
    package func upgrade() async throws -> ActionResult { try await post("/v1/upgrade") }

    /// See ``AdminLifecycle``; only a build for tests can break itself.
    package func breakOnPurpose(_ fault: String) async throws -> ActionResult {
        try await post("/v1/faults/\(Self.pathSegment(fault))")
    }

    /// See ``AdminLifecycle``.
    package func stop(store: Int?) async throws -> ActionResult {
        try await post("/v1/stop", StopRequest(store: store), timeout: timeout)
    }

    package func evict(client: String) async throws -> ActionResult {
        try await post("/v1/clients/\(Self.pathSegment(client))/evict")
    }

    package func move(client: String, to peer: String) async throws -> ActionResult {
        try await post("/v1/clients/\(Self.pathSegment(client))/move", MoveRequest(peer: peer), timeout: timeout)
    }

    /// Found the cluster, change its voters or its leader. The daemon waits up to 15 s for a leader that does it.
    package func administer(_ change: ClusterChange) async throws -> ActionResult {
        switch change {
        case .found: try await post("/v1/cluster/init")
        case .add(let name): try await post("/v1/cluster/add", ServerRequest(server: name), timeout: timeout)
        case .remove(let name): try await post("/v1/cluster/remove", ServerRequest(server: name), timeout: timeout)
        case .transfer(let name): try await post("/v1/cluster/transfer", ServerRequest(server: name), timeout: timeout)
        }
    }

    /// The body of a GET as it came, for `--json` and for `/metrics`.
    package func raw(_ path: String) async throws -> [UInt8] {
        try await request(path, .GET, body: nil, timeout: timeout)
    }

    private func get<Value: Decodable>(_ path: String) async throws -> Value {
        try Self.decode(await raw(path))
    }

    private func post(_ path: String) async throws -> ActionResult {
        try Self.decode(await request(path, .POST, body: nil, timeout: timeout))
    }

    private func post(_ path: String, _ body: some Encodable, timeout: Duration) async throws -> ActionResult {
        try Self.decode(await request(path, .POST, body: AdminJSON.encode(body), timeout: timeout))
    }

    private func request(_ path: String, _ method: HTTPMethod, body: [UInt8]?, timeout: Duration) async throws -> [UInt8] {
        try checkSocket()
        let host = socket.percentEncoded
        var request = HTTPClientRequest(url: "http+unix://\(host)\(path)")
        request.method = method
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let answer = try await send(request, with: http, timeout: timeout)
            try await http.shutdown()
            return answer
        } catch {
            try? await http.shutdown()
            throw explain(error, timeout)
        }
    }

    private func send(_ request: HTTPClientRequest, with http: HTTPClient, timeout: Duration) async throws -> [UInt8] {
        let response = try await http.execute(request, timeout: TimeAmount(timeout))
        let bytes = Array(try await response.body.collect(upTo: Self.largestAnswer).readableBytesView)
        if (200..<300).contains(response.status.code) { return bytes }
        let code = Int(response.status.code)
        let said =
            (try? AdminJSON.decode(ErrorBody.self, from: bytes))?.error ?? String(decoding: bytes.prefix(200), as: UTF8.self)
        throw AdminClientError(
            description: SafeText.lines(said.isEmpty ? "HTTP status \(code)" : said), exitCode: Self.exitCode(code),
            status: code)
    }

    /// The plain connect tells apart what the HTTP client's errors blur.
    private func checkSocket() throws {
        switch UnixSocket.probe(socket) {
        case .live: return
        case .absent, .stale: throw notRunning()
        case .notASocket:
            throw AdminClientError(description: "\(SafeText.line(socket)) is not a socket; see --socket", exitCode: 69)
        case .failed(let code) where code == EACCES || code == EPERM:
            throw AdminClientError(
                description: "no permission to use \(SafeText.line(socket)); join the group that owns it, or use sudo",
                exitCode: 77)
        case .failed(let code):
            throw AdminClientError(
                description: "cannot connect to \(SafeText.line(socket)): \(UnixSocket.text(code))", exitCode: 69)
        }
    }

    private func notRunning() -> AdminClientError {
        AdminClientError(
            description: "no gotunnel-server or -client answers at \(SafeText.line(socket)); is it running?"
                + " (systemctl status gotunnel-server)", exitCode: 69)
    }

    private func explain(_ error: any Error, _ timeout: Duration) -> AdminClientError {
        switch error {
        case let error as AdminClientError: return error
        case let error as HTTPClientError where [.deadlineExceeded, .readTimeout, .connectTimeout].contains(error):
            return AdminClientError(description: "no answer from \(SafeText.line(socket)) within \(timeout)", exitCode: 75)
        default:
            return AdminClientError(
                description: "\(SafeText.line(socket)): \(SafeText.line(String(describing: error)))", exitCode: 69)
        }
    }

    private static func decode<Value: Decodable>(_ bytes: [UInt8]) throws -> Value {
        do {
            return try AdminJSON.decode(from: bytes)
        } catch {
            throw AdminClientError(
                description:
                    "the answer is not what this version (\(Version.current)) expects; is the daemon of another version?",
                exitCode: 70)
        }
    }

    private static func exitCode(_ status: Int) -> Int32 {
        switch status {
        case 400: 64
        case 403: 77
        case 422: 78
        case 500: 70
        case 503, 504: 75
        default: 69
        }
    }

    private static func pathSegment(_ text: String) -> String {
        text.percentEncoded
    }
}

extension String {
    /// Everything but letters, digits, `-`, `.` and `_` as `%XX`.
    fileprivate var percentEncoded: String {
        var out = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                out += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return out
    }
}
