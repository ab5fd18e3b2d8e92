import Dispatch
import Identity
import NIOCore
import NIOPosix
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// Servers, each with a proxy in front, and one client whose local connections become streams of the best session.
///
/// What is bound to the client's loop is used there alone.
final class OpenerBed: @unchecked Sendable {
    static let service = "echo"

    let beds: [TunnelBed]
    let paths: [OpenerPath]
    let loop: any EventLoop
    /// Why local connections got no stream.
    let refusals = Log<Refusal>()
    /// How often a connection began to wait for a session.
    let holds = Log<Void>()
    let budget: MemoryBudget
    private let listener: StreamListener
    let opener: StreamOpener
    private let gate: Gate

    /// Local connections that are to be opened all in the same turn of the loop. Loop-bound.
    private final class Gate {
        var isShut = false
        var waiting: [(StreamSocket, String)] = []
    }

    /// Starts as many servers as told, the first with the best session, and runs the test.
    static func with(
        servers: Int = 2, starts: Bool = true, _ body: (OpenerBed) async throws -> Void
    ) async throws {
        var options = TunnelBed.Options()
        // One loop, so that a server can be stopped; no heartbeat but the one that begins a link.
        options.loops = 1
        for path in [\TunnelBed.Options.server, \TunnelBed.Options.client] {
            options[keyPath: path].heartbeatInterval = .seconds(60)
            options[keyPath: path].idleHeartbeatInterval = .seconds(60)
            options[keyPath: path].heartbeatTimeout = .seconds(240)
        }
        try await self.start(servers: servers, beds: [], options, starts: starts, body)
    }

    private static func start(
        servers: Int, beds: [TunnelBed], _ options: TunnelBed.Options, starts: Bool,
        _ body: (OpenerBed) async throws -> Void
    ) async throws {
        guard beds.count < servers else { return try await self.run(beds, starts: starts, body) }
        try await TunnelBed.with(options) { bed in
            try await self.start(servers: servers, beds: beds + [bed], options, starts: starts, body)
        }
    }

    private static func run(_ beds: [TunnelBed], starts: Bool, _ body: (OpenerBed) async throws -> Void) async throws {
        let bed = try await OpenerBed(beds)
        do {
            if starts { for path in bed.paths { try await path.start() } }
            try await body(bed)
        } catch {
            try? await bed.stop()
            throw error
        }
        try await bed.stop()
    }

    private init(_ beds: [TunnelBed]) async throws {
        let loop = beds[0].clientGroup.next()
        let (budget, metrics, refusals, holds) = (beds[0].clientBudget, beds[0].metrics, self.refusals, self.holds)
        self.beds = beds
        self.loop = loop
        self.budget = budget
        let made = try await loop.run {
            let environment = TransportEnvironment(eventLoop: loop, budget: budget, metrics: metrics)
            let opener = StreamOpener(environment: environment)
            opener.onHold = { holds.add(()) }
            return UncheckedBox((environment, opener, Gate()))
        }
        let (environment, opener, gate) = made.value
        self.opener = opener
        self.gate = gate
        self.paths = try beds.enumerated().map { index, bed in
            let dialer = LinkDialer(
                eventLoop: loop, tls: try .dialer(), party: bed.party(), credential: try bed.credential(),
                pins: CertificatePins([]))
            return OpenerPath(bed: bed, dialer: dialer, rank: UInt64(index), environment: environment, opener: opener)
        }
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        self.listener = try await loop.flatSubmit {
            let (environment, opener, gate) = made.value
            return StreamListener.bind(address, environment: environment) { socket, source in
                guard !gate.isShut else { return gate.waiting.append((socket, source)) }
                Self.open(socket, source, opener, refusals)
            }
        }.get()
    }

    private static func open(_ socket: StreamSocket, _ source: String, _ opener: StreamOpener, _ refusals: Log<Refusal>) {
        opener.open(Open(destination: .service(Self.service), source: source), for: socket) { refusals.add($0) }
    }

    private func stop() async throws {
        try await self.listener.close().get()
        try await self.loop.run {
            self.opener.close()
            for (socket, _) in self.gate.waiting { socket.abandon() }
        }
        for path in self.paths { try await path.stop() }
    }

    // MARK: Local programs

    /// A local program that wants a stream.
    func connect() async throws -> RawSocket {
        let port = self.listener.port
        return try await onThread { try RawSocket.connect(port: port) }
    }

    /// As many local programs, none of whose connections is opened before `openAll`.
    func connectAll(_ count: Int) async throws -> [RawSocket] {
        try await self.loop.run { self.gate.isShut = true }
        let port = self.listener.port
        let programs = try await onThread { try (0..<count).map { _ in try RawSocket.connect(port: port) } }
        try await eventually("all are accepted") { try await self.loop.run { self.gate.waiting.count == count } }
        return programs
    }

    /// Opens what waits, in one turn of the loop.
    func openAll() async throws {
        let refusals = self.refusals
        try await self.loop.run {
            self.gate.isShut = false
            let waiting = self.gate.waiting
            self.gate.waiting = []
            for (socket, source) in waiting { Self.open(socket, source, self.opener, refusals) }
        }
    }

    /// Makes the first connection that waits for `openAll` the local side of a stream that was asked for without the opener.
    func adoptFirst(_ id: StreamID, _ path: OpenerPath) async throws {
        try await path.run { driver, _ in
            guard !self.gate.waiting.isEmpty else { throw Overdue(description: "no connection waits") }
            driver.adopt(id, self.gate.waiting.removeFirst().0)
        }
    }

    /// Runs `body` with the opener on its loop.
    func run<Value: Sendable>(_ body: @escaping @Sendable (StreamOpener) throws -> Value) async throws -> Value {
        try await self.loop.run { try body(self.opener) }
    }

    // MARK: What is left

    /// Stops every server while `body` runs.
    func allStopped<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await Self.stopped(self.beds[...], body)
    }

    private static func stopped<Value>(
        _ beds: ArraySlice<TunnelBed>, _ body: () async throws -> Value
    ) async throws -> Value {
        guard let first = beds.first else { return try await body() }
        return try await first.stopped { try await self.stopped(beds.dropFirst(), body) }
    }

    /// Waits until each session has `count` streams, none of which needs to be open.
    func eachHas(_ count: Int) async throws {
        try await eventually("each session has \(count) streams") {
            for path in self.paths where try await path.streamCount != count { return false }
            return true
        }
    }

    /// Waits until all that the client and the proxies have to write lies with the servers, who need not read it.
    func bytesHaveArrived() async throws {
        let servers = Set(self.beds.map(\.serverPort))
        let links = servers.union(self.beds.map(\.proxy.port))
        let program = Set([self.listener.port])
        // Twice, because what a proxy has in hand lies in no queue.
        for _ in 0..<2 {
            try await eventually("all bytes have arrived") {
                try await self.loop.run {}
                for bed in self.beds { try await bed.clientGroup.next().run {} }
                // The connections of programs wait unread until their streams are open.
                return OpenerQuiet.isReached(ports: links, holding: servers)
                    && OpenerQuiet.isReached(ports: program, holding: program)
            }
        }
    }

    /// Waits until nothing is left of any opening or stream, anywhere.
    func settled() async throws {
        try await eventually("nothing is left") {
            guard try await self.run({ $0.pendingCount == 0 && $0.heldCount == 0 && $0.opener.pending == 0 }) else {
                return false
            }
            for path in self.paths where try await !path.isSettled() { return false }
            return self.budget.held == 0 && self.beds.allSatisfy { $0.serverBudget.held == 0 }
        }
    }
}

extension TunnelBed {
    /// Streams for which a target was dialled, or was to be.
    var asked: Int { self.serverEvents.entries.filter { if case .asked = $0 { true } else { false } }.count }
    /// Streams that a target was connected to.
    var served: Int { self.serverEvents.entries.filter { if case .served = $0 { true } else { false } }.count }

    /// Keeps the server from doing anything while `body` runs, as if its process were stopped.
    func stopped<Value>(_ body: () async throws -> Value) async throws -> Value {
        let release = DispatchSemaphore(value: 0)
        let loop = self.loops[0]
        await withCheckedContinuation { (entered: CheckedContinuation<Void, Never>) in
            loop.execute {
                entered.resume()
                // A bound, so that a test that fails does not hang.
                _ = release.wait(timeout: .now() + 60)
            }
        }
        defer { release.signal() }
        return try await body()
    }
}
