import Daemon
import Logging
import NIOCore
import Settings
import TunnelSession
import TunnelTransport
import TunnelWire

/// All of a client that lives on its event loop: the links to its servers, the forwards, the streams to exposures.
final class ClientWorker: ServerLinksDelegate {
    let links: ServerLinks
    let forwards: ForwardBoard
    let opener: StreamOpener
    /// Called when every server refused this client and none ever took it.
    var onRefusal: ((String) -> Void)?
    private let exposures: ExposureBoard
    private let name: String
    /// The longest a dial to a target may take.
    var dialTimeout: Duration
    let environment: TransportEnvironment
    private let refusals: RefusalLog

    init(
        settings: ClientSettings, dialer: LinkDialer, servers: LearnedServersFile?, exposures: ExposureBoard,
        environment: TransportEnvironment, counts: LinkCounts, inherited: InheritedSockets?, logger: Logger
    ) {
        self.name = settings.name
        self.dialTimeout = settings.dialTimeout
        self.exposures = exposures
        self.environment = environment
        self.refusals = RefusalLog(logger: logger)
        self.opener = StreamOpener(environment: environment)
        self.links = ServerLinks(
            settings: settings, dialer: dialer, file: servers, opener: self.opener, environment: environment, counts: counts,
            logger: logger)
        self.forwards = ForwardBoard(
            client: settings.name, environment: environment, logger: logger, opener: self.opener, inherited: inherited)
        self.links.delegate = self
        self.opener.onHold = { [weak links = self.links] in links?.hurry() }
    }

    /// Streams, and connections that are to become streams.
    var streamCount: Int {
        self.opener.pendingCount + self.links.connections.reduce(0) { $0 + ($1.session?.streamCount ?? 0) }
    }

    /// Tells every server what is exposed and which targets are well.
    func register() {
        for connection in self.links.connections { connection.session?.send(.register(self.exposures.registration())) }
    }

    /// Takes no new streams.
    func drain(deadline: Duration) {
        self.forwards.close()
        self.links.drain(deadline: deadline)
    }

    /// Stops listening; what comes now waits in the kernel.
    func freezeListeners() -> [HandoffListener] { self.forwards.freeze() }

    /// Stops everything and hands it over.
    func freeze() -> FrozenWorker {
        let openings = self.opener.freeze()
        let links = self.links.freeze(farewell: Close(.restarting, "another process of this client takes over"))
        return FrozenWorker(links: links, openings: openings, registration: self.exposures.version)
    }

    func stop() {
        self.forwards.close()
        self.opener.close()
        self.links.stop()
    }

    // MARK: ServerLinksDelegate

    func sessionBegan(_ session: SessionDriver) { session.send(.register(self.exposures.registration())) }

    func sessionEnded(server: String) { self.exposures.forget(server: server) }

    func registered(_ registered: Registered, by server: String) { self.exposures.answered(registered, by: server) }

    func session(_ session: SessionDriver, asks id: StreamID, for open: Open) {
        do throws(Refusal) {
            let target = try self.exposures.target(of: open, client: self.name)
            TargetDialer.dial(
                host: target.host.description, port: target.port, timeout: self.dialTimeout, environment: self.environment
            ) { result in
                switch result {
                case .success(let socket): session.serve(id, with: socket)
                case .failure(let refusal): self.refuse(id, refusal, open, session)
                }
            }
        } catch {
            self.refuse(id, error, open, session)
        }
    }

    private func refuse(_ id: StreamID, _ refusal: Refusal, _ open: Open, _ session: SessionDriver) {
        self.refusals.note(refusal, destination: open.destination, source: open.source, client: self.name)
        session.refuse(id, refusal)
    }

    func refusedEverywhere(_ reason: String) { self.onRefusal?(reason) }
}
