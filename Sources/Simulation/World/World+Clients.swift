import ClusterCore
import Timing
import TunnelWire

/// What clients do.
extension World {
    mutating func nextClientDeed() {
        guard !self.clients.isOver else { return }
        self.plan(.clients, after: self.clientRandom.span(self.clients.spacing))
        let running = self.places.indices.filter {
            self.places[$0].isRunning && !self.places[$0].isLeaving && !self.places[$0].isPaused
        }
        guard let server = self.clientRandom.pick(running),
            let client = self.clientRandom.pick(Array(self.clients.clients.indices))
        else { return }
        self.act(client, server, self.clientRandom.below(100))
    }

    /// Clients come back with a new installation at some server, and with the old one at `place`: whoever was asked before is
    /// asked there again.
    mutating func rush(_ place: Int) {
        let running = self.places.indices.filter {
            self.places[$0].isRunning && !self.places[$0].isLeaving && !self.places[$0].isPaused
        }
        guard !self.clients.isOver, running.contains(place),
            let client = self.clientRandom.pick(Array(self.clients.clients.indices)),
            let other = self.clientRandom.pick(running.filter { $0 != place })
        else { return }
        for (name, installation) in self.clientRandom.sample(self.clients.rushed, 2) {
            self.request(PortRequest(client: name, installation: installation, exposure: "kubelet"), at: place)
        }
        let known = self.clients.clients[client]
        self.clients.rushed.append((known.name, known.installation))
        self.clients.clients[client].installation = .random(using: &self.clientRandom)
        let installation = self.clients.clients[client].installation
        self.request(PortRequest(client: known.name, installation: installation, exposure: "kubelet"), at: other)
    }

    private mutating func act(_ client: Int, _ server: Int, _ draw: Int) {
        let servers = self.clients.clients[client].servers.sorted()
        switch draw {
        case 0..<30: if servers.count < 3 { self.connect(client, server) }
        case 30..<42: if let old = self.clientRandom.pick(servers) { self.disconnect(client, old) }
        case 42..<50:
            // It moves.
            self.connect(client, server)
            for old in servers where old != server { self.disconnect(client, old) }
        case 50..<60: if let old = self.clientRandom.pick(servers) { self.connect(client, old) }
        case 60..<90: self.requestPort(client, self.clientRandom.pick(servers) ?? server)
        case 90..<94:
            // The same question at two servers at once.
            self.requestPort(client, server)
            if let other = self.clientRandom.pick(servers) { self.requestPort(client, other) }
        case 94..<97: self.withdrawSome()
        case 97: self.clients.clients[client].installation = .random(using: &self.clientRandom)
        default:
            let record = ServiceRecord(isHealthy: self.clientRandom.chance(0.5), mayHedgeDial: false)
            self.set(RegistryKey(.service, "apiserver"), .service(record), at: server)
        }
    }

    private mutating func connect(_ client: Int, _ server: Int) {
        self.clients.stamp += 1
        let known = self.clients.clients[client]
        let exposures = known.exposures.map { name in
            let isFixed = self.clientRandom.chance(0.03)
            let port = UInt16(20_000 + self.clientRandom.below(60))
            return ExposureRecord(
                name: name, port: isFixed ? .fixed(port, claimedAt: self.clients.stamp) : .assigned,
                isHealthy: self.clientRandom.chance(0.9))
        }
        self.clients.clients[client].servers.insert(server)
        let record = ClientRecord(
            installation: known.installation, instance: WireID(high: 1, low: UInt64(client)), address: "192.0.2.\(client % 250)",
            since: self.clients.stamp, exposures: exposures)
        self.set(RegistryKey(.client, known.name), .client(record), at: server)
    }

    private mutating func disconnect(_ client: Int, _ server: Int) {
        self.clients.clients[client].servers.remove(server)
        self.set(RegistryKey(.client, self.clients.clients[client].name), nil, at: server)
    }

    private mutating func requestPort(_ client: Int, _ server: Int) {
        let known = self.clients.clients[client]
        guard let exposure = self.clientRandom.pick(known.exposures) else { return }
        self.request(PortRequest(client: known.name, installation: known.installation, exposure: exposure), at: server)
    }

    private mutating func withdrawSome() {
        guard let id = self.clientRandom.pick(self.checks.answers.open.keys.sorted()), let question = self.checks.answers.open[id]
        else { return }
        self.withdraw(id, at: question.place)
    }

    // MARK: Requests

    /// A server wants a port for a client of its own.
    @discardableResult
    mutating func request(_ request: PortRequest, at place: Int) -> UInt64 {
        self.lastRequest += 1
        let id = self.lastRequest
        self.checks.answers.asked(id, AnswerCheck.Question(place: place, request: .port(request), askedAt: self.now))
        self.feed(.request(id: id, request), to: place)
        return id
    }

    /// An operator wants something at a server.
    @discardableResult
    mutating func administer(_ command: ClusterCommand, at place: Int) -> UInt64 {
        self.lastRequest += 1
        let id = self.lastRequest
        self.checks.answers.asked(id, AnswerCheck.Question(place: place, request: .command(command), askedAt: self.now))
        self.feed(.administer(id: id, command), to: place)
        return id
    }

    mutating func withdraw(_ id: UInt64, at place: Int) {
        self.checks.answers.dropped(id)
        self.feed(.withdraw(id: id), to: place)
    }

    mutating func answered(_ id: UInt64, _ outcome: RequestOutcome, _ place: Int) {
        self.coverage.count(outcome)
        if self.plan.isScripted { self.answers[id] = outcome }
        self.violate(.answers, self.checks.answers.answered(id, outcome, by: place, self.checks.commits))
    }
}
