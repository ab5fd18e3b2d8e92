import Foundation
import Identity
import NIOCore
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// One session of an `OpenerBed` to one server: it tells the opener what happens to the session, as a client does.
///
/// Its state is bound to the bed's loop; every method that is `async` hops there.
final class OpenerPath: SessionDelegate, @unchecked Sendable {
    let bed: TunnelBed
    let losses = Log<LinkLoss>()
    let ends = Log<SessionEnd>()
    let heartbeats = Log<HeartbeatReport>()
    private let environment: TransportEnvironment
    private let opener: StreamOpener
    private let dialer: LinkDialer
    /// The lower it is the earlier the session is chosen.
    private let rank: UInt64
    private var ticket: ResumeTicket?
    private var isStopped = false
    private(set) var driver: SessionDriver?
    private(set) var path: PathID?
    /// Whether a lost link is dialled again by itself.
    var redials = false
    var onLostLink: (() -> Void)?
    /// Set before a new session has its link, as a client does that has other links.
    var firstWindow: Duration?

    /// What the opener believes of every link's round trip. It sets how long an OPEN may go unanswered: three times that.
    static let roundTrip = Duration.milliseconds(100)

    init(bed: TunnelBed, dialer: LinkDialer, rank: UInt64, environment: TransportEnvironment, opener: StreamOpener) {
        self.bed = bed
        self.dialer = dialer
        self.rank = rank
        self.environment = environment
        self.opener = opener
    }

    private var loop: any EventLoop { self.environment.eventLoop }

    // MARK: Links

    /// Dials, for a new session where the last one has ended, and waits until a link stands and its first PING was answered: nothing is under way then.
    func start() async throws {
        let before = self.heartbeats.count
        try await self.loop.run {
            if self.driver?.isEnded == true { (self.driver, self.ticket) = (nil, nil) }
            self.dial()
        }
        try await eventually("the link of path \(self.rank) stands") {
            let isUp = try await self.loop.run { self.driver?.isAttached == true }
            return isUp && self.heartbeats.entries.dropFirst(before).contains { $0.answeredPing != nil }
        }
    }

    func stop() async throws {
        try await self.loop.run {
            self.isStopped = true
            self.driver?.end(.closedHere(.shutdown, "the test is over"))
        }
    }

    private func dial() {
        guard !self.isStopped, self.driver?.isEnded != true else { return }
        self.dialer.dial(
            host: "127.0.0.1", port: self.bed.proxy.port, ticket: self.ticket, received: self.driver?.received ?? 0
        ) { result in
            switch result {
            case .success(let dialed): self.take(dialed)
            case .failure: self.redialSoon()
            }
        }
    }

    private func redialSoon() {
        self.loop.assumeIsolated().scheduleTask(in: .milliseconds(5)) { self.dial() }
    }

    private func take(_ dialed: DialedLink) {
        guard !self.isStopped, self.driver?.isEnded != true else { return dialed.discard(Close(.shutdown, "not needed")) }
        let isNew = self.driver == nil
        if isNew { self.begin(dialed) }
        do {
            try self.driver?.attach(dialed)
        } catch {
            self.driver?.end(.violation(error))
            return dialed.discard(Close(.protocolViolation, error.description))
        }
        if !isNew, let path = self.path { self.opener.linked(path) }
    }

    private func begin(_ dialed: DialedLink) {
        let driver = SessionDriver(side: .dialer, configuration: self.bed.options.client, environment: self.environment)
        driver.delegate = self
        self.driver = driver
        self.ticket = SessionSecret(dialed.welcome.secret).map {
            ResumeTicket(server: dialed.peer.instance, session: dialed.welcome.session, secret: $0)
        }
        self.path = self.opener.began(driver, rank: self.rank)
        if let window = self.firstWindow { driver.setResumeWindow(window) }
    }

    // MARK: What the session says

    func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        session.refuse(id, Refusal(.forbidden, "nothing is exposed here"))
    }

    func session(_ session: SessionDriver, received message: ControlMessage) {}

    func session(_ session: SessionDriver, lostLink cause: LinkLoss) {
        self.losses.add(cause)
        if let path = self.path { self.opener.lost(path) }
        self.onLostLink?()
        if self.redials { self.redialSoon() }
    }

    func session(_ session: SessionDriver, ended end: SessionEnd) {
        self.ends.add(end)
        if let path = self.path { self.opener.ended(path) }
    }

    func session(_ session: SessionDriver, heartbeat: HeartbeatReport) {
        self.heartbeats.add(heartbeat)
        var heartbeat = heartbeat
        heartbeat.roundTrip = Self.roundTrip
        if let path = self.path { self.opener.heartbeat(path, heartbeat) }
    }

    // MARK: For tests

    /// Runs `body` with the session and what the opener calls it.
    func run<Value: Sendable>(_ body: @escaping @Sendable (SessionDriver, PathID) throws -> Value) async throws -> Value {
        try await self.loop.run {
            guard let driver = self.driver, let path = self.path else { throw Overdue(description: "the path has not begun") }
            return try body(driver, path)
        }
    }

    /// The server says of a service whether it is healthy. Nothing is asked for a second time where it is not.
    func offer(_ service: String, isHealthy: Bool) async throws {
        let opener = UncheckedBox(self.opener)
        try await self.run { _, path in
            opener.value.offers(path, Services([ServiceAnnouncement(name: service, isHealthy: isHealthy)]))
        }
    }

    var streamCount: Int { get async throws { try await self.run { driver, _ in driver.streamCount } } }

    /// Asks for a stream without the opener.
    func request(_ service: String, _ progress: Log<OpenProgress>) async throws -> StreamID {
        try await self.run { driver, _ in
            try driver.request(Open(destination: .service(service), source: "test")) { progress.add($0) }
        }
    }

    /// Nothing is left of any stream at either end, all that was sent has been acknowledged, and what is counted
    /// process-wide has been taken back.
    func isSettled() async throws -> Bool {
        let here: Settling? = try await self.run { driver, _ in driver.isEnded ? nil : Settling(driver) }
        var there: [Settling] = []
        for host in self.bed.hosts {
            there += try await host.eventLoop.run { host.value.sessions.values.map { Settling($0.driver) } }
        }
        guard let here else { return there.allSatisfy { $0.isEmpty } }
        return here.isEmpty && there.count == 1 && there[0].isEmpty && here.sent == there[0].received
            && there[0].sent == here.received
    }

    private struct Settling: Sendable {
        let isEmpty: Bool
        let sent: UInt64
        let received: UInt64

        init(_ driver: SessionDriver) {
            let state = driver.snapshot()
            self.isEmpty =
                driver.streamCount == 0 && driver.session.streamCount == 0 && state.replayBytes == 0 && state.heldBytes == 0
                && driver.countedStreams == 0 && driver.countedReplay == 0 && driver.chargedBytes == 0
                && driver.openings.isEmpty
            self.sent = state.bytesSent
            self.received = state.bytesReceived
        }
    }
}
