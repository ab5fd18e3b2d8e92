import Settings
import Timing
import TunnelSession
import TunnelWire

/// What becomes of dials and sessions.
extension LinkPlan {
    /// Whether to go on with a server that has said who it is.
    enum Verdict: Sendable, Equatable {
        case go
        /// Another address of a server with which there is a session.
        case alreadyConnected
        /// No further link is wanted, or not with this server now.
        case enough
    }

    /// Why a dial came to nothing. Those that ended by the plan's own verdict need not be told apart.
    enum DialFailure: Sendable, Equatable {
        case unreachable
        /// The server does not accept this client's credentials.
        case refused
        /// The server is full or drains.
        case busy
    }

    /// How a session ended.
    enum SessionEndKind: Sendable, Equatable {
        /// Another process of this installation has a session with the server now.
        case takenOver
        /// This plan asked for it.
        case retired
        case other
    }

    /// A session, with or without a link.
    struct Standing: Sendable {
        let server: WireID
        let name: String
        let began: Moment
        var isUp = true
        /// False while its server drains or is suspect.
        var isUsable = true
        /// Nothing but a good-bye is left for it.
        var isRetiring = false
        /// No streams.
        var isIdle = false
        /// New streams go there.
        var isActive = false
        var roundTrip: Duration?
        /// Who answered when the endpoint was dialled anew beside this session, and until when that may come to something.
        var successor: (server: WireID, until: Moment)?

        /// Counts as a link.
        var isHot: Bool { self.isUp && self.isUsable && !self.isRetiring }

        func holds(_ server: WireID, at now: Moment) -> Bool {
            if self.server == server { return true }
            return self.successor.map { $0.server == server && $0.until > now } ?? false
        }
    }

    /// How long a handshake may go on after the server has said who it is.
    private static let handshakeLimit = Duration.seconds(5)
    /// A session that stood for so long was none in vain.
    private static let lasting = Duration.seconds(10)

    /// The session that was to be retired is in use after all.
    mutating func keep(_ endpoint: Endpoint) { self.standing[endpoint]?.isRetiring = false }

    /// A server has said who it is, and is not the one that this dial was made for.
    mutating func isAnother(at endpoint: Endpoint, _ server: WireID, now: Moment) {
        self.dials[endpoint]?.met = (server, now)
        self.dials[endpoint]?.verdict = .enough
    }

    /// Whether the endpoint is dialled because somebody asked for its server.
    func isDemanded(_ endpoint: Endpoint) -> Bool { self.dials[endpoint]?.isDemanded ?? false }

    /// A server has said who it is and nothing is proved yet: is it wanted? With `.go` no other endpoint gets to the same
    /// server until this dial has failed or its session has ended.
    mutating func verdict(on server: WireID, at endpoint: Endpoint, now: Moment) -> Verdict {
        let isHeld = self.holds(server, elsewhereThan: endpoint, at: now)
        if self.standing[endpoint] != nil {
            if isHeld { return .alreadyConnected }
            self.standing[endpoint]?.successor = (server, now + Self.handshakeLimit)
            return .go
        }
        guard let dial = self.dials[endpoint] else { return .enough }
        let others = self.dials.count { $0.key != endpoint && $0.value.isPromising(now: now) }
        let verdict: Verdict =
            if isHeld {
                .alreadyConnected
            } else if self.shunned[server].map({ $0 > now }) ?? false {
                .enough
            } else if !dial.isDemanded, self.hotLinks + others >= self.links {
                .enough
            } else {
                .go
            }
        self.dials[endpoint]?.met = (server, now)
        self.dials[endpoint]?.verdict = verdict
        return verdict
    }

    /// A dial came to nothing.
    mutating func dialFailed(
        _ endpoint: Endpoint, _ failure: DialFailure, now: Moment, using rng: inout some RandomNumberGenerator
    ) {
        self.standing[endpoint]?.successor = nil
        guard let dial = self.dials.removeValue(forKey: endpoint), self.places[endpoint] != nil else { return }
        switch dial.verdict {
        case .go:
            self.failed(endpoint, now: now, using: &rng)
            self.places[endpoint]?.isRefused = failure == .refused
        case .alreadyConnected:
            let pause = Self.secondLook * Double.random(in: 1...1.25, using: &rng)
            self.answered(endpoint, by: dial.met?.server, secondLook: now + pause)
        case .enough:
            self.answered(endpoint, by: dial.met?.server, secondLook: .beginning)
            // Whoever asks again is asked to wait a little, so that no mistake can make this spin.
            self.places[endpoint]?.due = now + Self.firstAttemptSpread
        }
    }

    /// A session stands, in place of an older one at the same endpoint if there was one.
    mutating func sessionBegan(
        _ endpoint: Endpoint, server: WireID, name: String, now: Moment, using rng: inout some RandomNumberGenerator
    ) {
        if self.dials.removeValue(forKey: endpoint)?.isDemanded == true { self.demanded = [] }
        self.standing[endpoint] = Standing(server: server, name: name, began: now)
        self.everBegan = true
        self.hurriedUntil = .beginning
        let pause = Self.secondLook * Double.random(in: 1...1.25, using: &rng)
        self.answered(endpoint, by: server, secondLook: now + pause)
        self.reviewLinks(now: now, using: &rng)
    }

    mutating func linkLost(_ endpoint: Endpoint, now: Moment, using rng: inout some RandomNumberGenerator) {
        self.standing[endpoint]?.isUp = false
        self.reviewLinks(now: now, using: &rng)
    }

    /// The session has another link.
    mutating func linkBack(_ endpoint: Endpoint, now: Moment) {
        self.standing[endpoint]?.isUp = true
        self.closeVacancies()
        self.reviewSurplus(now: now)
    }

    /// Takes what there is to know of a session: whether its server takes new streams (it neither drains nor is suspect),
    /// whether it has none, whether new ones go there, and its smoothed round trip.
    mutating func review(
        _ endpoint: Endpoint, isUsable: Bool, isIdle: Bool, isActive: Bool, roundTrip: Duration?, now: Moment,
        using rng: inout some RandomNumberGenerator
    ) {
        guard var session = self.standing[endpoint] else { return }
        session.isUsable = isUsable
        session.isIdle = isIdle
        session.isActive = isActive
        session.roundTrip = roundTrip
        self.standing[endpoint] = session
        self.reviewLinks(now: now, using: &rng)
    }

    /// A session is over.
    /// - Returns: how long its server will be left alone because another process has taken over; nil otherwise.
    @discardableResult
    mutating func sessionEnded(
        _ endpoint: Endpoint, _ kind: SessionEndKind, now: Moment, using rng: inout some RandomNumberGenerator
    ) -> Duration? {
        guard let session = self.standing.removeValue(forKey: endpoint) else { return nil }
        defer { self.reviewLinks(now: now, using: &rng) }
        // A session that lasted makes up for earlier failures; one that ended at once is one more.
        if now - session.began >= Self.lasting {
            self.places[endpoint]?.backoff.reset()
            self.places[endpoint]?.failures = 0
        }
        // The next attempt goes to another server if there is one.
        if kind != .retired, self.places[endpoint] != nil { self.failed(endpoint, now: now, using: &rng) }
        guard kind == .takenOver else { return nil }
        // Were two processes of one installation there for long, they would evict each other as fast as they can dial.
        let wait = Self.takeoverWait * Double.random(in: 0.5...1, using: &rng)
        self.shunned[session.server] = now + wait
        return wait
    }

    /// Somebody's connection waits and no session is up: attempts that are far off are made soon, still not in step with
    /// other clients.
    mutating func hurry(now: Moment, using rng: inout some RandomNumberGenerator) {
        guard self.hotLinks == 0 else { return }
        self.hurriedUntil = now + Self.hurryDuration
        for endpoint in self.endpoints {
            guard let due = self.places[endpoint]?.due, due > now + Self.hurriedWait else { continue }
            self.places[endpoint]?.due = now + Self.hurriedWait * Double.random(in: 0.2...1, using: &rng)
        }
    }

    /// An attempt at an endpoint failed: the next comes later each time.
    mutating func failed(_ endpoint: Endpoint, now: Moment, using rng: inout some RandomNumberGenerator) {
        guard var place = self.places[endpoint] else { return }
        place.failures += 1
        let isHurried = now < self.hurriedUntil
        place.due =
            now + (isHurried ? place.backoff.next(atMost: Self.hurriedWait, using: &rng) : place.backoff.next(using: &rng))
        self.places[endpoint] = place
    }

    private mutating func answered(_ endpoint: Endpoint, by server: WireID?, secondLook: Moment) {
        guard var place = self.places[endpoint] else { return }
        place.server = server
        place.secondLook = secondLook
        place.isRefused = false
        self.places[endpoint] = place
    }
}

extension LinkPlan.Dial {
    /// May become a link any moment: the server answered, is wanted, and has not been silent for long since.
    fileprivate func isPromising(now: Moment) -> Bool {
        guard let met = self.met, self.verdict == .go else { return false }
        return now - met.at < LinkPlan.patience
    }
}
