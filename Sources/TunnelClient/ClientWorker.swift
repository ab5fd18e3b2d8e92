import Daemon
import Logging
import NIOCore
import Settings
import TunnelSession
import TunnelTransport
import TunnelWire

/// All of a client that lives on its event loop: the connection to a server, the forwards, the streams to exposures.
final class ClientWorker: ServerConnectionDelegate {
    let connection: ServerConnection
    let forwards: ForwardBoard
    /// Called when every server refused this client and none ever took it.
    var onRefusal: ((String) -> Void)?
    /// What the server announced, by name: whether it is healthy.
    private(set) var services: [String: Bool] = [:]
    private let exposures: ExposureBoard
    private let name: String
    /// The longest a dial to a target may take.
    var dialTimeout: Duration
    private let environment: TransportEnvironment
    private let refusals: RefusalLog

    init(
        settings: ClientSettings, dialer: LinkDialer, exposures: ExposureBoard, environment: TransportEnvironment, logger: Logger
    ) {
        self.name = settings.name
        self.dialTimeout = settings.dialTimeout
        self.exposures = exposures
        self.environment = environment
        self.refusals = RefusalLog(logger: logger)
        let connection = ServerConnection(settings: settings, dialer: dialer, environment: environment, logger: logger)
        self.connection = connection
        self.forwards = ForwardBoard(client: settings.name, environment: environment, logger: logger) { connection.session }
        connection.delegate = self
        self.forwards.onHold = { [weak connection] in connection?.hurry() }
    }

    /// Tells the server what is exposed and which targets are well.
    func register() {
        self.connection.session?.send(.register(self.exposures.registration()))
    }

    /// Takes no new streams.
    func drain(deadline: Duration) {
        self.forwards.close()
        self.connection.session?.drain(deadline: deadline, reason: "the client stops")
    }

    func stop() {
        self.forwards.close()
        self.connection.stop()
    }

    // MARK: ServerConnectionDelegate

    func sessionBegan() {
        self.services = [:]
        self.register()
        self.forwards.sessionBegan()
    }

    func session(asks id: StreamID, for open: Open, on driver: SessionDriver) {
        do throws(Refusal) {
            let target = try self.exposures.target(of: open, client: self.name)
            TargetDialer.dial(
                host: target.host.description, port: target.port, timeout: self.dialTimeout, environment: self.environment
            ) { result in
                switch result {
                case .success(let socket): driver.serve(id, with: socket)
                case .failure(let refusal): self.refuse(id, refusal, open, driver)
                }
            }
        } catch {
            self.refuse(id, error, open, driver)
        }
    }

    private func refuse(_ id: StreamID, _ refusal: Refusal, _ open: Open, _ driver: SessionDriver) {
        self.refusals.note(refusal, destination: open.destination, source: open.source, client: self.name)
        driver.refuse(id, refusal)
    }

    func received(_ message: ControlMessage) {
        switch message {
        case .services(let announced):
            self.services = Dictionary(
                announced.services.map { ($0.name, $0.isHealthy) }, uniquingKeysWith: { first, _ in first })
        case .registered(let registered): self.exposures.answered(registered)
        default: break
        }
    }

    func refusedEverywhere(_ reason: String) { self.onRefusal?(reason) }
}
