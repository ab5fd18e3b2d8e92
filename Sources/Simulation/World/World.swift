import ClusterCore
import Timing
import TunnelWire

/// A cluster in one process: machines with clocks that differ, disks that are slow, links with TCP's faults, clients,
/// operators, and faults. Everything comes from one seed: a seed replayed gives the same run, event for event.
package struct World {
    let plan: SimulationPlan
    /// Nanoseconds since the world began.
    package internal(set) var now: Int64 = 0
    var places: [Place] = []
    var indices: [ServerName: Int] = [:]
    /// How many places the configuration names as peers; those behind them join later.
    let founders: Int
    var paths: Paths
    var links: [Link?] = []
    var freeLinks: [Int] = []
    var linkSerial: UInt64 = 0
    /// The slot of the link that a place's process has with a peer; -1: none. Row by row.
    var ends: [Int]
    var dials: [DialState]
    var queue = EventQueue<WorldEvent>()
    var nodeRandom: SimulationRandom
    var networkRandom: SimulationRandom
    var faultRandom: SimulationRandom
    var clientRandom: SimulationRandom
    var faults: FaultPlan
    var clients: ClientPlan
    var operators = OperatorPlan()
    var checks: Checks
    package internal(set) var coverage = Coverage()
    package internal(set) var digest = Digest()
    package internal(set) var events: UInt64 = 0
    package internal(set) var violations: [Violation] = []
    package internal(set) var trace: TraceLog?
    /// Every message that was sent, for scripts.
    package var recordsMessages = false
    package internal(set) var messages: [SentMessage] = []
    /// What `set`, `request` and `administer` were told.
    package internal(set) var answers: [UInt64: RequestOutcome] = [:]
    var lastRequest: UInt64 = 0

    package init(_ plan: SimulationPlan) {
        self.plan = plan
        var random = SimulationRandom(seed: plan.seed &* 0x9e37_79b9 &+ 0x51ed)
        self.founders = plan.nodes ?? 3 + random.below(5)
        let extra = plan.isScripted || self.founders > 20 ? 0 : random.below(3)
        let count = self.founders + extra
        let profile = plan.isScripted ? .local : Paths.Profile.allCases[random.below(3)]
        self.paths = Paths(count: count, profile: profile, random: &random)
        self.ends = Array(repeating: -1, count: count * count)
        self.dials = Array(repeating: DialState(), count: count * count)
        self.nodeRandom = random.fork()
        self.networkRandom = random.fork()
        self.faultRandom = random.fork()
        self.clientRandom = random.fork()
        self.faults = FaultPlan(random: &self.faultRandom)
        self.clients = ClientPlan(servers: count, random: &self.clientRandom)
        self.checks = Checks(count: count)
        self.trace = plan.traces ? TraceLog(sink: plan.traceSink) : nil
        for index in 0..<count {
            let rate = plan.isScripted ? 1 : 0.9 + 0.2 * random.fraction()
            let clock = SimulatedClock(offset: random.span(.zero ... .seconds(100_000)), rate: rate)
            let place = Place(index: index, clock: clock, disk: SimulatedDisk(id: .random(using: &random)))
            self.indices[place.name] = index
            self.places.append(place)
        }
        self.begin(&random)
    }

    private mutating func begin(_ random: inout SimulationRandom) {
        for index in self.places.indices {
            self.plan(.start(place: index, .own), after: self.plan.isScripted ? 0 : random.span(.zero ... .seconds(1)))
        }
        self.plan(.watch, after: 500_000_000)
        guard !self.plan.isScripted else { return }
        self.plan(.fault, after: 3_000_000_000)
        self.plan(.clients, after: 1_000_000_000)
        self.plan(.operators, after: 20_000_000_000)
    }

    var count: Int { self.places.count }

    // MARK: Running

    mutating func plan(_ event: WorldEvent, after span: Int64) { self.queue.push(event, at: self.now + max(0, span)) }

    /// Goes on until `time`, or until something is wrong.
    mutating func run(until time: Int64) {
        while self.violations.isEmpty, let at = self.queue.nextAt, at <= time, let (_, event) = self.queue.pop() {
            self.now = at
            self.events += 1
            self.dispatch(event)
        }
        if self.violations.isEmpty { self.now = max(self.now, time) }
    }

    package mutating func run(for span: Duration) { self.run(until: self.now + span.wholeNanoseconds) }

    mutating func violate(_ invariant: Invariant, _ what: String?) {
        guard let what else { return }
        self.violations.append(Violation(invariant: invariant, at: self.now, text: what))
        self.note { _ in "VIOLATION of \(invariant.rawValue): \(what)" }
    }

    /// Nothing is put into words unless somebody reads it.
    mutating func note(_ text: (World) -> String) {
        guard self.trace != nil else { return }
        let line = text(self)
        self.trace?.add(line, at: self.now)
    }

    // MARK: Events

    private mutating func dispatch(_ event: WorldEvent) {
        if let place = event.process, self.places[place].isPaused {
            self.places[place].backlog.append(event)
            return
        }
        switch event {
        case .timer(let place, let at): self.timer(place, at)
        case .arrival(let link, let from, let lane, let parcel): self.arrive(link, from, lane, parcel)
        case .read(let link, let from, let parcel): self.read(link, from, parcel)
        case .flush(let link, let from): self.flush(link, from)
        case .linkUp(let link, let place): self.linkUp(link, place)
        case .linkEnd(let link, let place, let ending): self.end(link, place, ending)
        case .dial(let from, let to, let at): self.dial(from, to, at)
        case .refused(let from, let life, let to):
            if self.isAlive(from, life) { self.feed(.dialRefused(self.places[to].name), to: from) }
        case .watch: self.watch()
        case .written(let place, let life): self.written(place, life)
        case .resume(let place): self.resume(place)
        case .start(let place, let choice): self.start(place, choice)
        case .stop(let place, let life): if self.isAlive(place, life) { self.finishLeaving(place) }
        case .mend(let cut): self.mend(cut)
        case .calmDisk(let place): self.places[place].writeTime = Place.calmWrites
        case .tell(let place, let life, let event): if self.isAlive(place, life) { self.feed(event, to: place) }
        case .closed(let place, let life, let port, let token):
            if self.isAlive(place, life) { self.closed(place, port, token) }
        case .fault: self.nextFault()
        case .clients: self.nextClientDeed()
        case .rush(let place): self.rush(place)
        case .operators: self.nextOperatorDeed()
        }
    }

    func isAlive(_ place: Int, _ life: Int) -> Bool { self.places[place].life == life && self.places[place].isRunning }

    private mutating func resume(_ place: Int) {
        guard self.places[place].isPaused else { return }
        self.places[place].isPaused = false
        self.note { "\($0.places[place].name) goes on, \($0.places[place].backlog.count) events late" }
        // Its driver reads what has come in before it judges that a link is silent.
        self.hearEverybody(place)
        while !self.places[place].isPaused, let event = self.places[place].backlog.popFirst() {
            self.events += 1
            self.dispatch(event)
        }
    }
}

extension WorldEvent {
    /// The place whose process has to run for this to happen.
    fileprivate var process: Int? {
        switch self {
        case .timer(let place, _), .linkUp(_, let place), .linkEnd(_, let place, _), .stop(let place, _), .tell(let place, _, _),
            .closed(let place, _, _, _):
            place
        case .dial(let from, _, _), .refused(let from, _, _): from
        // Whose process reads is known only with the link.
        case .arrival, .read, .flush, .watch, .written, .resume, .start, .mend, .calmDisk, .fault, .clients, .rush, .operators:
            nil
        }
    }
}

/// A message as it was handed to the network.
package struct SentMessage: Sendable {
    package var at: Int64
    package var from: Int
    package var to: Int
    package var message: ClusterMessage
}
