import Identity
import NIOCore
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// What both ends of the tests do with streams: dial the target that the destination names. Loop-bound.
final class TestDelegate: SessionDelegate {
    /// What happened in a session, for tests to look at.
    enum Event: Sendable, Equatable {
        case asked(StreamID)
        case refused(Refusal)
        case served(StreamID)
        case message(ControlMessage)
        case lostLink(LinkLoss)
        case ended(SessionEnd)
    }

    let events: Log<Event>
    private let targets: Targets
    private let environment: TransportEnvironment
    var onLostLink: ((LinkLoss) -> Void)?
    var onEnd: ((SessionEnd) -> Void)?

    init(targets: Targets, environment: TransportEnvironment, events: Log<Event>) {
        self.targets = targets
        self.environment = environment
        self.events = events
    }

    func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        self.events.add(.asked(id))
        let name =
            switch open.destination {
            case .service(let name), .exposure(_, let name): name
            case .address(let host, _): host
            }
        guard let target = self.targets.find(name) else {
            return session.refuse(id, Refusal(.unknownDestination, "no target \(name)"))
        }
        let events = self.events
        TargetDialer.dial(host: target.host, port: target.port, timeout: target.timeout, environment: self.environment) {
            result in
            switch result {
            case .success(let socket):
                events.add(.served(id))
                session.serve(id, with: socket)
            case .failure(let refusal):
                events.add(.refused(refusal))
                session.refuse(id, refusal)
            }
        }
    }

    func session(_ session: SessionDriver, received message: ControlMessage) { self.events.add(.message(message)) }

    func session(_ session: SessionDriver, lostLink cause: LinkLoss) {
        self.events.add(.lostLink(cause))
        self.onLostLink?(cause)
    }

    func session(_ session: SessionDriver, ended end: SessionEnd) {
        self.events.add(.ended(end))
        self.onEnd?(end)
    }
}

/// Where the names of services and exposures lead; shared by all loops.
final class Targets: Sendable {
    struct Target: Sendable {
        var host = "127.0.0.1"
        var port: Int
        var timeout = Duration.seconds(5)
    }

    private let table = Log<(String, Target)>()

    func add(_ name: String, _ target: Target) { self.table.add((name, target)) }
    func find(_ name: String) -> Target? { self.table.entries.last { $0.0 == name }?.1 }
}

/// The server's side of the tests on one loop: keeps sessions as the protocol says. Loop-bound.
final class TestHost: LinkHost {
    enum Event: Sendable, Equatable {
        case began(name: String)
        case resumed(name: String)
        case refused(CloseCode)
    }

    struct Entry {
        let driver: SessionDriver
        let delegate: TestDelegate
        let secret: SessionSecret
        let name: String
        let instance: WireID
    }

    let environment: TransportEnvironment
    let events: Log<Event>
    let sessionEvents: Log<TestDelegate.Event>
    private let instance: WireID
    private let configuration: SessionConfiguration
    private let targets: Targets
    private(set) var sessions: [WireID: Entry] = [:]

    init(
        environment: TransportEnvironment, instance: WireID, configuration: SessionConfiguration, targets: Targets,
        events: Log<Event>, sessionEvents: Log<TestDelegate.Event>
    ) {
        self.environment = environment
        self.instance = instance
        self.configuration = configuration
        self.targets = targets
        self.events = events
        self.sessionEvents = sessionEvents
    }

    func session(for peer: AuthenticatedPeer) -> SessionDecision {
        if let resume = peer.hello.resume { return self.resume(resume, peer) }
        for (id, old) in self.sessions where old.name == peer.hello.name && old.instance == peer.hello.instance {
            old.driver.end(.closedHere(.superseded, "a newer session of the same client"))
            self.sessions[id] = nil
        }
        var rng = SeededGenerator()
        let driver = SessionDriver(side: .acceptor, configuration: self.configuration, environment: self.environment)
        let delegate = TestDelegate(targets: self.targets, environment: self.environment, events: self.sessionEvents)
        driver.delegate = delegate
        let id = WireID.random(using: &rng)
        let entry = Entry(
            driver: driver, delegate: delegate, secret: SessionSecret.generate(using: &rng), name: peer.hello.name,
            instance: peer.hello.instance)
        self.sessions[id] = entry
        delegate.onEnd = { [weak self] _ in self?.sessions[id] = nil }
        self.events.add(.began(name: peer.hello.name))
        return .begin(driver, id: id, secret: entry.secret)
    }

    private func resume(_ request: ResumeRequest, _ peer: AuthenticatedPeer) -> SessionDecision {
        guard request.server == self.instance else {
            self.events.add(.refused(.notMe))
            return .refuse(Close(.notMe, "this is another instance of the server"))
        }
        guard let entry = self.sessions[request.session], entry.name == peer.hello.name, peer.provesSession(entry.secret) else {
            self.events.add(.refused(.unknownSession))
            return .refuse(Close(.unknownSession, "this server does not know the session"))
        }
        entry.driver.detachLink()
        self.events.add(.resumed(name: peer.hello.name))
        return .resume(entry.driver, id: request.session, secret: entry.secret)
    }

    func endAll() {
        for id in self.sessions.keys { self.sessions[id]?.driver.end(.closedHere(.shutdown, "the test is over")) }
        self.sessions = [:]
    }
}

/// What a server's handshakes came to.
final class TestObserver: HandshakeObserver {
    struct Failure: Sendable {
        var failure: HandshakeFailure
        var detail: String
        var address: String
    }

    let failures = Log<Failure>()

    func handshakeFailed(_ error: HandshakeError, address: String) {
        self.failures.add(Failure(failure: error.failure, detail: error.detail, address: address))
    }

    var kinds: [HandshakeFailure] { self.failures.entries.map(\.failure) }
}
