import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Serves the admin API on listeners that are bound already, with an event loop of its own: neither a scrape nor a stuck caller
/// touches the data plane.
package struct AdminServer: Service {
    private let source: any AdminSource
    private let lifecycle: (any AdminLifecycle)?
    private let registry: MetricsRegistry
    private let listeners: [AdminListener]
    private let limits: AdminLimits
    private let logger: Logger

    package init(
        source: any AdminSource, lifecycle: (any AdminLifecycle)? = nil, registry: MetricsRegistry, listeners: [AdminListener],
        limits: AdminLimits = AdminLimits(), logger: Logger
    ) {
        self.source = source
        self.lifecycle = lifecycle
        self.registry = registry
        self.listeners = listeners
        self.limits = limits
        self.logger = logger
    }

    /// Serves until the task is cancelled or a graceful shutdown begins, then closes the listeners and removes their files.
    package func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        await withDiscardingTaskGroup { tasks in
            for listener in listeners {
                tasks.addTask { await serve(listener, on: group) }
            }
        }
        for listener in listeners { listener.removeFile() }
        try await group.shutdownGracefully()
    }

    private func serve(_ listener: AdminListener, on group: MultiThreadedEventLoopGroup) async {
        let http = channel(for: listener)
        let open = ConnectionCount(limit: limits.connections)
        let waiting = WaitingConnections()
        do {
            let server = try await ServerBootstrap(group: group)
                .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
                .bind(listener.descriptor) { channel -> EventLoopFuture<HTTP1Channel.Value> in
                    guard open.admit(channel) else {
                        return channel.close().flatMap { channel.eventLoop.makeFailedFuture(ChannelError.eof) }
                    }
                    return http.setup(channel: channel, logger: logger).map { waiting.add($0) }
                }
            logger.info("admin API is listening", metadata: ["place": "\(listener.place)"])
            await untilShutdown(of: server.channel, Task { try await accept(from: server, http, waiting) })
        } catch {
            logger.error("admin API cannot listen", metadata: ["place": "\(listener.place)", "error": "\(error)"])
        }
    }

    /// Handles connections until the listener is closed, then ends those that are left.
    ///
    /// Never to be cancelled, and nothing accepted may be lost on the way: a connection that is dropped before anybody took
    /// it is for NIO a mistake of ours, and ends the process.
    private func accept(
        from server: NIOAsyncChannel<HTTP1Channel.Value, Never>, _ http: HTTP1Channel, _ waiting: WaitingConnections
    ) async throws {
        let result: Result<Void, any Error>
        do {
            try await server.executeThenClose { inbound in
                try await withThrowingDiscardingTaskGroup { tasks in
                    for try await connection in inbound {
                        waiting.remove(connection)
                        tasks.addTask { await http.handle(value: connection, logger: logger) }
                    }
                    tasks.cancelAll()
                }
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await withDiscardingTaskGroup { tasks in
            for connection in waiting.takeAll() {
                tasks.addTask { await http.handle(value: connection, logger: logger) }
            }
            tasks.cancelAll()
        }
        try result.get()
    }

    /// Waits for `serving`, which ends when `listener` does; a shutdown or a cancellation closes that.
    private func untilShutdown(of listener: any Channel, _ serving: Task<Void, any Error>) async {
        let result = await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await serving.result
            } onGracefulShutdown: {
                listener.close(promise: nil)
            }
        } onCancel: {
            listener.close(promise: nil)
        }
        if case .failure(let error) = result {
            logger.error("admin API has stopped", metadata: ["error": "\(error)"])
        }
    }

    private func channel(for listener: AdminListener) -> HTTP1Channel {
        let routes = AdminRoutes(
            source: source, lifecycle: lifecycle, registry: registry, limits: limits, allowsActions: listener.allowsActions)
        let responder = routes.responder()
        let (limits, logger) = (limits, logger)
        var configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [RequestDeadlineHandler(limits: limits)])
        configuration.httpDecoder = .init(
            maxHeaderFieldSize: limits.head, maxHeaderListSize: limits.head, maxHeaderFieldCount: 100)
        return HTTP1Channel(
            responder: { request, writer, channel in
                let context = BasicRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: logger))
                let response = try await responder.respond(to: request, context: context)
                let mustClose = response.headers[.connection] == "close"
                try await writer.write(response: response.head, body: response.body)
                if mustClose { throw ConnectionMustClose() }
            }, configuration: configuration)
    }
}

/// Thrown after an answer that ends its connection; hummingbird closes on any error from the responder.
private struct ConnectionMustClose: Error {}

/// Counts the connections of one listener.
private final class ConnectionCount: Sendable {
    private let limit: Int
    private let open = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Counts `channel` until it is closed; false when there are enough already.
    func admit(_ channel: any Channel) -> Bool {
        guard open.add(1, ordering: .relaxed).newValue <= limit else {
            open.subtract(1, ordering: .relaxed)
            return false
        }
        channel.closeFuture.whenComplete { _ in self.open.subtract(1, ordering: .relaxed) }
        return true
    }
}

/// The connections that were accepted and not handled yet. They are kept here because the way to their handler loses those
/// that come while the listener closes.
private final class WaitingConnections: Sendable {
    private let connections = Mutex<[ObjectIdentifier: HTTP1Channel.Value]>([:])

    func add(_ connection: HTTP1Channel.Value) -> HTTP1Channel.Value {
        connections.withLock { $0[ObjectIdentifier(connection.channel)] = connection }
        return connection
    }

    func remove(_ connection: HTTP1Channel.Value) {
        _ = connections.withLock { $0.removeValue(forKey: ObjectIdentifier(connection.channel)) }
    }

    func takeAll() -> [HTTP1Channel.Value] {
        connections.withLock { connections in
            defer { connections = [:] }
            return Array(connections.values)
        }
    }
}
