import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// The endpoints of the admin API over an ``AdminSource``.
struct AdminRoutes {
    typealias Context = BasicRequestContext

    let source: any AdminSource
    /// Nil: the process cannot be upgraded or stopped from here.
    var lifecycle: (any AdminLifecycle)?
    let registry: MetricsRegistry
    let limits: AdminLimits
    /// On a TCP address every POST is refused.
    let allowsActions: Bool

    func responder() -> RouterResponder<Context> {
        let router = Router(context: Context.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: PlainErrors())
        addReading(to: router)
        addActions(to: router)
        return router.buildResponder()
    }

    private func addReading(to router: Router<Context>) {
        let (source, registry) = (source, registry)
        router.get("/healthz") { _, _ in Self.text("ok\n") }
        router.get("/readyz") { _, _ in
            let reason = try await withDeadline(limits.answer) { await source.readiness() }
            guard let reason else { return Self.text("ready\n") }
            return Self.text("not ready: \(SafeText.line(reason))\n", status: .serviceUnavailable)
        }
        router.get("/metrics") { _, _ in Self.text(registry.exposition(), type: Exposition.contentType) }
        get("/v1/status", router) { try await source.status() }
        get("/v1/peers", router) { try await source.peers() }
        get("/v1/clients", router) { try await source.clients() }
        get("/v1/exposures", router) { try await source.exposures() }
        get("/v1/streams", router) { try await source.streams() }
    }

    private func addActions(to router: Router<Context>) {
        let (source, limit) = (source, limits.answer)
        post("/v1/drain", router) { request, _ in
            // No deadline of ours: waiting is bounded by the daemon's drain_timeout.
            try await source.drain(wait: body(DrainRequest.self, of: request)?.wait ?? false)
        }
        post("/v1/undrain", router) { _, _ in try await withDeadline(limit) { try await source.undrain() } }
        post("/v1/reload", router) { _, _ in try await withDeadline(limit) { try await source.reload() } }
        post("/v1/clients/:name/evict", router) { _, context in
            let name = try clientName(context)
            return try await withDeadline(limit) { try await source.evict(client: name) }
        }
        post("/v1/clients/:name/move", router) { request, context in
            let name = try clientName(context)
            guard let peer = try await body(MoveRequest.self, of: request)?.peer, !peer.isEmpty else {
                throw AdminError(400, "say where to: a body {\"peer\": \"NAME\"} is expected")
            }
            return try await withDeadline(limit) { try await source.move(client: name, to: peer) }
        }
        addClusterActions(to: router)
        addLifecycle(to: router)
    }

    private func addLifecycle(to router: Router<Context>) {
        let (lifecycle, limit) = (lifecycle, limits.answer)
        let missing = AdminError.notSupported("this process cannot be replaced")
        // Without a deadline of ours: the new program is asked first, which is bounded.
        post("/v1/upgrade", router) { _, _ in
            guard let lifecycle else { throw missing }
            return try await lifecycle.upgrade()
        }
        post("/v1/stop", router) { request, _ in
            guard let lifecycle else { throw missing }
            let store = try await body(StopRequest.self, of: request)?.store
            return try await withDeadline(limit) { try await lifecycle.stop(store: store) }
        }
        #if FAULTS
        post("/v1/faults/:name", router) { _, context in
            guard let lifecycle else { throw missing }
            return try await lifecycle.suffer(context.parameters.get("name") ?? "")
        }
        #endif
    }

    /// Without a deadline of ours: the daemon bounds how long it waits for a leader.
    private func addClusterActions(to router: Router<Context>) {
        let source = source
        post("/v1/cluster/init", router) { _, _ in try await source.administer(.found) }
        post("/v1/cluster/add", router) { request, _ in
            try await source.administer(.add(voter: try await serverName(in: request)))
        }
        post("/v1/cluster/remove", router) { request, _ in
            try await source.administer(.remove(voter: try await serverName(in: request)))
        }
        post("/v1/cluster/transfer", router) { request, _ in
            let name = try await body(ServerRequest.self, of: request)?.server
            return try await source.administer(.transfer(to: try name.map { try Self.name($0, of: "server") }))
        }
    }

    private func serverName(in request: Request) async throws -> String {
        guard let name = try await body(ServerRequest.self, of: request)?.server else {
            throw AdminError(400, "say which server: a body {\"server\": \"NAME\"} is expected")
        }
        return try Self.name(name, of: "server")
    }

    private func get(
        _ path: RouterPath, _ router: Router<Context>, _ read: @escaping @Sendable () async throws -> some Encodable & Sendable
    ) {
        let limit = limits.answer
        router.get(path) { _, _ in try Self.json(try await withDeadline(limit, read)) }
    }

    private func post(
        _ path: RouterPath, _ router: Router<Context>,
        _ act: @escaping @Sendable (Request, Context) async throws -> ActionResult
    ) {
        let allowed = allowsActions
        router.post(path) { request, context in
            guard allowed else {
                throw AdminError(403, "this address only reads; use the admin socket for actions (gotunnelctl does)")
            }
            return try Self.json(try await act(request, context))
        }
    }

    /// The JSON body of a request; `nil` if it has none.
    private func body<Body: Decodable>(_ type: Body.Type, of request: Request) async throws -> Body? {
        let bytes: ByteBuffer
        do {
            bytes = try await request.body.collect(upTo: limits.body)
        } catch is NIOTooManyBytesError {
            throw AdminError(413, "the body is larger than \(limits.body) bytes")
        }
        guard bytes.readableBytes > 0 else { return nil }
        do {
            return try AdminJSON.decode(type, from: Array(bytes.readableBytesView))
        } catch {
            throw AdminError(400, "the body is not the JSON object that is expected here")
        }
    }

    /// The client's name in the path: RFC 1123, lower-cased.
    private func clientName(_ context: Context) throws -> String {
        try Self.name(context.parameters.get("name")?.removingPercentEncoding ?? "", of: "client")
    }

    private static func name(_ text: String, of what: String) throws -> String {
        let name = text.lowercased()
        let allowed = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
        }
        guard allowed, (1...253).contains(name.utf8.count) else {
            throw AdminError(400, "\"\(SafeText.line(name, limit: 80))\" is not the name of a \(what)")
        }
        return name
    }

    private static func text(
        _ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(status: status, headers: headers(type), body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    private static func json(_ value: some Encodable) throws -> Response {
        let bytes = try AdminJSON.encode(value) + Array("\n".utf8)
        return Response(
            status: .ok, headers: headers("application/json"), body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func error(_ error: AdminError) -> Response {
        let body = ErrorBody(error: SafeText.lines(error.message))
        let bytes = (try? AdminJSON.encode(body)) ?? []
        var headers = headers("application/json")
        // The rest of a body that is too long is not worth reading.
        if error.status == 413 { headers[.connection] = "close" }
        return Response(
            status: HTTPResponse.Status(code: (400...599).contains(error.status) ? error.status : 500), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes + Array("\n".utf8))))
    }

    private static func headers(_ type: String) -> HTTPFields {
        [.contentType: type, .cacheControl: "no-store"]
    }
}

/// Body of `POST /v1/drain`.
struct DrainRequest: Codable {
    var wait: Bool?
}

/// Body of `POST /v1/clients/NAME/move`.
struct MoveRequest: Codable {
    var peer: String?
}

/// Body of `POST /v1/cluster/…`.
struct ServerRequest: Codable {
    var server: String?
}

/// Answers every error as `{"error": "…"}`; what is not an ``AdminError`` is not for outside eyes in full.
private struct PlainErrors: RouterMiddleware {
    typealias Context = BasicRequestContext

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as AdminError {
            return AdminRoutes.error(error)
        } catch let error as HTTPError where error.status == .notFound {
            return AdminRoutes.error(
                AdminError(404, "no such endpoint: \(request.method.rawValue) \(SafeText.line(request.uri.path))"))
        } catch let error as HTTPError {
            return AdminRoutes.error(AdminError(error.status.code, error.body ?? error.status.reasonPhrase))
        } catch is CancellationError {
            return AdminRoutes.error(AdminError(503, "the process is stopping"))
        } catch {
            return AdminRoutes.error(AdminError(500, "internal error: \(SafeText.line(String(describing: error)))"))
        }
    }
}
