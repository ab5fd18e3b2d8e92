import ChaosCore
import NIOCore
import NIOPosix

/// All that one host's applications do, until told to stop.
package final class LoadRun: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let work: NIOLoopBound<LoadWork>
    private let recorder: Recorder

    /// Starts; returns when every watch and every two-way stream runs.
    package static func start(_ plan: LoadPlan, recorder: Recorder) async throws -> LoadRun {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        do {
            let work = try await loop.submit { NIOLoopBound(try LoadWork(plan, recorder, loop), eventLoop: loop) }.get()
            try await loop.flatSubmit { work.value.listen() }.get()
            let running = loop.makePromise(of: Void.self)
            loop.execute { work.value.start { running.succeed() } }
            try await running.futureResult.get()
            return LoadRun(group, work, recorder)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(_ group: MultiThreadedEventLoopGroup, _ work: NIOLoopBound<LoadWork>, _ recorder: Recorder) {
        self.group = group
        self.work = work
        self.recorder = recorder
    }

    /// Ends in order: nothing more is asked, what is under way has two seconds, long streams are finished.
    package func stop() async throws {
        let done = self.group.next().makePromise(of: Void.self)
        self.work.eventLoop.execute { [work] in work.value.stop { done.succeed() } }
        try await done.futureResult.get()
        try await self.group.shutdownGracefully()
        self.recorder.finish()
    }
}

/// The same, on its event loop.
final class LoadWork {
    /// More requests under way than this are failed at once.
    private static let mostUnderWay = 500
    private static let grace = TimeAmount.seconds(2)

    private let plan: LoadPlan
    private let recorder: Recorder
    private let log: LoadLog
    private let loop: any EventLoop
    private let dialer: Dialer?
    private let shared: SharedConnection?
    private let kept: KeptConnection?
    private var pacers: [Pacer] = []
    private var watches: [WatchStream] = []
    private var execs: [ExecCall] = []
    private var underWay: [Observation.Kind: Int] = [:]
    private var flows: RepeatedTask?
    private var isStopping = false
    private var whenIdle: (() -> Void)?

    init(_ plan: LoadPlan, _ recorder: Recorder, _ loop: any EventLoop) throws {
        self.plan = plan
        self.recorder = recorder
        self.loop = loop
        self.log = LoadLog(who: plan.who, recorder: recorder)
        self.dialer = try plan.apiserver.map {
            try Dialer(to: try Self.address($0), patience: .spanning(plan.traffic.patience), loop: loop)
        }
        self.shared = self.dialer.map { SharedConnection($0) }
        self.kept = self.dialer.map { KeptConnection($0) }
    }

    static func address(_ text: String) throws -> SocketAddress {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = Int(parts[1]),
            let address = try? SocketAddress(ipAddress: String(parts[0]), port: port)
        else { throw TrafficTrouble("\"\(text)\" is no address; give an IPv4 address and a port") }
        return address
    }

    /// Listens as a kubelet would, where the plan says so.
    func listen() -> EventLoopFuture<Void> {
        guard let kubelet = self.plan.kubelet else { return self.loop.makeSucceededVoidFuture() }
        do {
            let address = try Self.address(kubelet)
            let facts = NIOLoopBound(
                (self.plan.who, self.recorder, SeenRequests(who: self.plan.who, recorder: self.recorder)), eventLoop: self.loop)
            return ServerBootstrap(group: self.loop)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let (who, recorder, requests) = facts.value
                        try channel.pipeline.syncOperations.addHandler(
                            ExecHandler(answering: ExecCallee(who: who, recorder: recorder, requests: requests)))
                    }
                }
                .bind(to: address).map { _ in }
        } catch {
            return self.loop.makeFailedFuture(error)
        }
    }

    func start(_ whenRunning: @escaping () -> Void) {
        self.makeWatches()
        self.makeExecs()
        self.makePacers()
        self.log.await(self.watches + self.execs, whenRunning)
        let bound = NIOLoopBound(self, eventLoop: self.loop)
        self.flows = self.loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
            bound.value.log.noteFlows()
        }
        for watch in self.watches { watch.start() }
        for exec in self.execs { exec.start() }
        for pacer in self.pacers { pacer.start() }
    }

    // MARK: Long streams

    private func makeWatches() {
        guard let dialer, let shared else { return }
        let clock = EventClock(interval: .milliseconds(Int64(self.plan.traffic.eventInterval)))
        for number in 0..<self.plan.traffic.watches {
            let watch =
                number.isMultiple(of: 2)
                ? WatchStream(http: "2", clock: clock, log: self.log, loop: self.loop) { handler, failed in
                    shared.stream(with: handler, failed)
                }
                : WatchStream(http: "1.1", clock: clock, log: self.log, loop: self.loop) { handler, failed in
                    dialer.connect(watching: handler).assumeIsolated().whenFailure(failed)
                }
            self.watches.append(watch)
        }
    }

    private func makeExecs() {
        if let dialer {
            for number in 0..<self.plan.traffic.execs {
                self.execs.append(
                    ExecCall(name: "\(self.plan.who)/exec/\(number)", log: self.log, loop: self.loop) { handler, failed in
                        dialer.connect(exec: handler, refused: failed).assumeIsolated().whenFailure { failed(Trouble.text($0)) }
                    })
            }
        }
        for place in self.plan.mapped {
            for number in 0..<self.plan.streamsPerMapped {
                self.execs.append(
                    ExecCall(name: "\(self.plan.who)/\(place)/\(number)", log: self.log, loop: self.loop) { handler, failed in
                        self.dial(place, handler, failed)
                    })
            }
        }
    }

    private func dial(_ place: String, _ handler: ExecHandler, _ failed: @escaping (String) -> Void) {
        do {
            let bound = NIOLoopBound(handler, eventLoop: self.loop)
            ClientBootstrap(group: self.loop)
                .connectTimeout(.spanning(self.plan.traffic.patience))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
                }
                .connect(to: try Self.address(place))
                .assumeIsolated().whenFailure { failed(Trouble.text($0)) }
        } catch {
            failed(Trouble.text(error))
        }
    }

    // MARK: Requests

    private func makePacers() {
        guard self.dialer != nil else { return }
        let (traffic, block) = (self.plan.traffic, ApiHandler.listBlock)
        let listBlocks = UInt64(max(1, traffic.listBytes / block))
        let uploadBlocks = UInt64(max(1, traffic.uploadBytes / block))
        self.addPacer(.new, traffic.new) { .echo(id: $0) }
        self.addPacer(.get, traffic.get) { .echo(id: $0) }
        self.addPacer(.list, traffic.lists) { .list(id: $0, blocks: listBlocks) }
        self.addPacer(.upload, traffic.uploads, upload: uploadBlocks) { .upload(id: $0) }
    }

    private func addPacer(
        _ kind: Observation.Kind, _ rate: Double, upload: UInt64 = 0, _ path: @escaping (_ id: String) -> ApiPath
    ) {
        let who = self.plan.who
        self.pacers.append(
            Pacer(rate: rate, loop: self.loop) { [unowned self] number, due in
                self.request(kind, number, path("\(who)/\(kind.rawValue)/\(number)"), upload: upload, due: due)
            })
    }

    private func request(_ kind: Observation.Kind, _ number: Int, _ path: ApiPath, upload: UInt64, due: NIODeadline) {
        let isShared = kind != .new && number.isMultiple(of: 2)
        let exchange = Exchange(
            kind, http: isShared ? "2" : "1.1", path, upload: upload, due: due, patience: .spanning(self.plan.traffic.patience),
            loop: self.loop
        ) { [unowned self] exchange, failure in self.over(exchange, failure) }
        self.underWay[kind, default: 0] += 1
        guard self.underWay[kind, default: 0] <= Self.mostUnderWay else { return exchange.end("too many are under way") }
        if isShared {
            self.shared?.stream(with: ExchangeHandler(onStream: exchange)) { exchange.end(Trouble.text($0)) }
        } else if kind == .get {
            self.kept?.make(exchange)
        } else {
            self.dialer?.connect(ExchangeHandler(exchange)).assumeIsolated().whenFailure { exchange.end(Trouble.text($0)) }
        }
    }

    private func over(_ exchange: Exchange, _ failure: String?) {
        self.underWay[exchange.kind, default: 0] -= 1
        for harm in exchange.harms { self.log.harm(exchange.kind, exchange.http, harm) }
        self.log.note(
            exchange.kind, exchange.http, failure == nil ? .done : .failed, t: exchange.due, took: .now() - exchange.due,
            why: failure, by: exchange.apiserver)
        self.tellIfIdle()
    }

    // MARK: The end

    func stop(_ whenDone: @escaping () -> Void) {
        guard !self.isStopping else { return }
        self.isStopping = true
        for pacer in self.pacers { pacer.stop() }
        for watch in self.watches { watch.stop() }
        var open = self.execs.count
        let streamsDone = self.loop.makePromise(of: Void.self)
        if open == 0 { streamsDone.succeed() }
        for exec in self.execs {
            exec.stop {
                open -= 1
                if open == 0 { streamsDone.succeed() }
            }
        }
        let requestsDone = self.loop.makePromise(of: Void.self)
        self.whenIdle = { requestsDone.succeed() }
        let bound = NIOLoopBound(self, eventLoop: self.loop)
        self.loop.scheduleTask(in: Self.grace) {
            // What is not answered by now is neither done nor failed.
            bound.value.log.isClosed = true
            bound.value.whenIdle?()
            bound.value.whenIdle = nil
        }
        self.tellIfIdle()
        EventLoopFuture.andAllComplete([streamsDone.futureResult, requestsDone.futureResult], on: self.loop)
            .assumeIsolated().whenComplete { _ in
                self.flows?.cancel()
                self.log.noteFlows()
                self.log.isClosed = true
                self.shared?.close()
                self.kept?.close()
                whenDone()
            }
    }

    private func tellIfIdle() {
        guard self.isStopping, self.underWay.values.allSatisfy({ $0 == 0 }), let whenIdle else { return }
        self.whenIdle = nil
        whenIdle()
    }
}
