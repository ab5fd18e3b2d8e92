import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One run of ``RequestTraffic``, bound to its event loop.
final class RequestsRun {
    /// Between the start of the program's loop and the first request, so that the first is not late.
    private static let lead = TimeAmount.milliseconds(20)

    private let plan: RequestsPlan
    private let loop: any EventLoop
    private let tls: NIOSSLContext
    private let report: EventLoopPromise<RequestsReport>
    private let started: NIODeadline
    /// The number of the next request.
    private var next = 0
    private var isStopped = false
    private var hasReported = false
    private var underWay = 0
    private var results: [(number: Int, result: RequestResult)] = []

    /// - Parameter report: completed once, after ``begin()`` was called.
    init(_ plan: RequestsPlan, loop: any EventLoop, tls: NIOSSLContext, report: EventLoopPromise<RequestsReport>) {
        self.plan = plan
        self.loop = loop
        self.tls = tls
        self.report = report
        self.started = .now() + Self.lead
        results.reserveCapacity(min(plan.count, 10_000))
    }

    func begin() { schedule(next) }

    func stop() {
        guard !isStopped else { return }
        isStopped = true
        settle()
    }

    private var isScheduling: Bool { !isStopped && next < plan.count }

    private func schedule(_ number: Int) {
        guard isScheduling else { return settle() }
        let run = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(deadline: started + plan.due(number)) { run.value.startDue() }
    }

    /// Starts whatever is due: several, if the loop was late.
    private func startDue() {
        let now = NIODeadline.now()
        while isScheduling, started + plan.due(next) <= now {
            start(next)
            next += 1
        }
        schedule(next)
    }

    private func start(_ number: Int) {
        underWay += 1
        let path = plan.path(number)
        let request = RequestHandler(due: started + plan.due(number), limit: plan.limit, loop: loop) { request, failure in
            self.ended(number, path, request, failure)
        }
        guard underWay <= RequestsPlan.concurrencyLimit else {
            return request.end("not sent: \(RequestsPlan.concurrencyLimit) requests are under way already")
        }
        let bound = NIOLoopBound(request, eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(plan.limit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: nil))
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(bound.value)
                }
            }
            .connect(to: plan.address(path))
            .assumeIsolated()
            .whenFailure { error in request.end("connecting: \(TrafficFailure.text(error))") }
    }

    private func ended(_ number: Int, _ path: RequestResult.Path, _ request: RequestHandler, _ failure: String?) {
        underWay -= 1
        func span(_ moment: NIODeadline?) -> Double? { moment.map { TrafficClock.milliseconds($0 - request.due) } }
        let result = RequestResult(
            path: path, atMs: TrafficClock.milliseconds(request.due - started), tookMs: span(.now()) ?? 0,
            connectedMs: span(request.connected), tlsMs: span(request.secured), ok: failure == nil, error: failure,
            server: request.server)
        results.append((number, result))
        settle()
    }

    /// Reports once nothing is to be started and nothing is under way.
    private func settle() {
        guard !isScheduling, underWay == 0, !hasReported else { return }
        hasReported = true
        let sorted = results.sorted { $0.number < $1.number }.map(\.result)
        report.succeed(
            RequestsReport(
                startedAtMs: TrafficClock.milliseconds(started), intervalMs: TrafficClock.milliseconds(plan.interval),
                requests: sorted))
    }
}
