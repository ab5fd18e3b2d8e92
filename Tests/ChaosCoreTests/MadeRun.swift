import ChaosCore

/// A run in which everything went well, to be spoilt by tests in one point each.
struct MadeRun {
    var scenario = Scenario(name: "made", title: "Made up")
    var evidence = Evidence(began: 100, healed: 130, ended: 140)

    init(_ promises: Promise...) {
        self.scenario.promises = promises
        // Rates as below.
        (self.scenario.traffic.new, self.scenario.traffic.get, self.scenario.traffic.watches) = (10, 10, 1)
        for tenth in 0..<400 {
            let t = 100 + Double(tenth) / 10
            for (who, isControl) in [("worker-1", false), ("worker-2", false), ("control", true)] {
                for kind in [Observation.Kind.new, .get] {
                    self.add(Observation(t: t, who: who, kind: kind, http: "1.1", what: .done, took: 0.003), isControl)
                }
            }
            if tenth.isMultiple(of: 10) {
                for (who, isControl) in [("worker-1", false), ("worker-2", false), ("control", true)] {
                    self.add(Observation(t: t, who: who, kind: .watch, http: "2", what: .flow, took: 0.01, count: 5), isControl)
                }
            }
            if tenth.isMultiple(of: 2) { self.evidence.views.append(Self.view(t)) }
        }
        for _ in 0..<10 {
            self.add(Observation(t: 99, who: "worker-1", kind: .watch, http: "2", what: .opened, took: 0.01), false)
        }
        self.evidence.faults = [
            FaultRecord(number: 0, action: "kill", victims: ["controller-1"], began: 110, there: 110.01, ended: 112)
        ]
        self.evidence.claims = [LeaderClaim(t: 90, server: "controller-3", term: 2)]
        self.evidence.verdicts = [DeathVerdict(t: 110.2, server: "controller-3", peer: "controller-1")]
        self.evidence.lives = [
            ProcessLife(name: "controller-1", pid: 10, started: 80, ended: 110.01, end: "SIGKILL", wasMeant: true),
            ProcessLife(name: "controller-1", pid: 11, started: 111.5),
            ProcessLife(name: "controller-3", pid: 12, started: 80),
        ]
        self.evidence.usage = [101.0, 120, 139].map {
            ProcessSample(t: $0, name: "controller-3", memory: 50 << 20, openFiles: 40, cpu: 1)
        }
        self.evidence.agreement.after = 0.4
    }

    mutating func add(_ observation: Observation, _ isControl: Bool = false) {
        if isControl { self.evidence.control.append(observation) } else { self.evidence.observations.append(observation) }
    }

    /// A request at a time, besides the others.
    mutating func request(
        _ kind: Observation.Kind = .new, at t: Double, took: Double = 0.003, fails: Bool = false, who: String = "worker-1"
    ) {
        self.add(
            Observation(
                t: t, who: who, kind: kind, http: "1.1", what: fails ? .failed : .done, took: took,
                why: fails ? "connection reset" : nil))
    }

    static func view(_ t: Double, leader: String? = "controller-3", term: UInt64 = 2, port: Int = 20_001) -> ClusterView {
        ClusterView(
            t: t,
            servers: ["controller-1", "controller-2", "controller-3"].map { name in
                ClusterView.Server(
                    name: name, role: name == leader ? "leader" : "follower", term: term, leader: leader, alive: [], clients: 2,
                    streams: 10, ports: ["worker-1/kubelet": port])
            },
            clients: [ClusterView.Client(name: "worker-1", linked: ["controller-2"], active: "controller-2", streams: 4)])
    }

    /// What came of the first promise.
    var first: Verdict { Judge.judge(self.scenario, self.evidence)[0] }
}
