#if canImport(Glibc)
import Glibc
#endif

/// One fault to rehearse, and what is promised meanwhile.
package struct ContinuityScenario: Sendable {
    package let name: String
    package let title: String
    package let promise: ContinuityPromise
    /// What happens, and how the stage is put right afterwards. Says when the fault is there: a process does not end, nor
    /// a filter take hold, at the moment when it is asked for.
    let fault: @Sendable (Stage, Stage.Place, _ isThere: @Sendable () -> Void) async throws -> Void
    /// How the stage differs from the usual one.
    var prepare: @Sendable (inout Stage.Plan) -> Void = { _ in }
    /// For how long requests are made; the fault comes after a quarter of it, at most 5 s.
    var duration: Duration = .seconds(20)
    /// When the streams made last finish by themselves; nil: never.
    var finishAfter: String?
    /// A check of its own, after the run: a broken promise, or nil.
    var check: (@Sendable (Stage, RequestsReport) async throws -> String?)?

    package var needsRoot: Bool {
        var plan = Stage.Plan(programs: "", folder: "")
        self.prepare(&plan)
        return plan.network == .namespaces
    }
}

extension ContinuityScenario {
    /// The table of `make continuity`, in its order.
    package static let all: [ContinuityScenario] = [
        .none, .kill, .stop, .cut(.bothWays, "cut", "silent cut, both ways"),
        .cut(.onlyThere, "cut-there", "silent cut, client to server"),
        .cut(.onlyBack, "cut-back", "silent cut, server to client"), .resets, .backend, .drain, .everything, .slowBackend,
    ]

    private static let none = ContinuityScenario(
        name: "none", title: "nothing at all",
        promise: ContinuityPromise(.overMedian(50), .allSurvive, countsRequestsUnderWay: true)
    ) { _, _, isThere in isThere() }

    private static let kill = ContinuityScenario(
        name: "kill", title: "SIGKILL of the active server",
        promise: ContinuityPromise(.overMedian(50), .resetWithin(1_000), countsRequestsUnderWay: false)
    ) { stage, struck, isThere in
        await stage.kill(struck.name)
        isThere()
    }

    private static let stop = ContinuityScenario(
        name: "stop", title: "SIGSTOP of it for 10 s, then SIGCONT",
        promise: ContinuityPromise(.absolute(300), .surviveOrEndWithin(10_000), countsRequestsUnderWay: false)
    ) { stage, struck, isThere in
        stage.cast[struck.name]?.signal(SIGSTOP)
        isThere()
        try await Task.sleep(for: .seconds(10))
        stage.cast[struck.name]?.signal(SIGCONT)
    }

    private static func cut(_ cut: NamespaceLab.Cut, _ name: String, _ title: String) -> ContinuityScenario {
        var scenario = ContinuityScenario(
            name: name, title: title,
            promise: ContinuityPromise(.absolute(300), .resetWithin(10_000), countsRequestsUnderWay: false)
        ) { stage, struck, isThere in
            guard let index = stage.places.firstIndex(where: { $0.name == struck.name }) else { return }
            try stage.lab?.cut(cut, between: stage.places.count, and: index)
            isThere()
        }
        scenario.prepare = { $0.network = .namespaces }
        return scenario
    }

    private static let resets = {
        var scenario = ContinuityScenario(
            name: "resets", title: "RST of its link, 50 times",
            promise: ContinuityPromise(.overMedian(50), .allSurvive, countsRequestsUnderWay: true)
        ) { stage, struck, isThere in
            guard let index = stage.places.firstIndex(where: { $0.name == struck.name }) else { return }
            isThere()
            for _ in 0..<50 {
                stage.relays[index].resetAll()
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        scenario.prepare = { $0.hasRelays = true }
        return scenario
    }()

    private static let backend = ContinuityScenario(
        name: "apiserver", title: "the apiserver behind it dies",
        promise: ContinuityPromise(.anything, .endWithin(1_000), countsRequestsUnderWay: false)
    ) { stage, struck, isThere in
        await stage.kill("backend-\(struck.name)")
        isThere()
        try await Task.sleep(for: .seconds(8))
        try stage.restartBackend(of: struck)
    }

    private static let drain = {
        var scenario = ContinuityScenario(
            name: "drain", title: "drain of it (drain_timeout 10 s)",
            promise: ContinuityPromise(.anything, .finishOrMeetDeadline(9_500), countsRequestsUnderWay: true)
        ) { stage, struck, isThere in
            isThere()
            try Shell.run([stage.program("gotunnelctl"), "drain", "--socket", struck.socket])
        }
        scenario.prepare = { $0.serverLines = ["drain_timeout: 10s"] }
        // Half of them before the deadline: they have run for some seconds when the drain begins.
        scenario.finishAfter = "8s..26s"
        return scenario
    }()

    private static let everything = ContinuityScenario(
        name: "all", title: "all servers gone for 3 s",
        promise: ContinuityPromise(.anything, .none, countsRequestsUnderWay: false)
    ) { stage, _, isThere in
        for place in stage.places { stage.cast[place.name]?.signal(SIGKILL) }
        for place in stage.places { await stage.kill(place.name) }
        isThere()
        try await Task.sleep(for: .seconds(3))
        for place in stage.places { try stage.startServer(place) }
    }

    private static let slowBackend = {
        var scenario = ContinuityScenario(
            name: "slow-backend", title: "backend behind 500 ms, hedge_dial",
            promise: ContinuityPromise(.anything, .none, countsRequestsUnderWay: true)
        ) { _, _, isThere in isThere() }
        scenario.prepare = { plan in
            plan.network = .namespaces
            plan.isFar = true
            plan.apiserverLines = "hedge_dial: true, health: {type: tcp, interval: 60s, timeout: 5s}"
        }
        scenario.check = { stage, requests in try await HedgeShare(stage, requests).problem }
        return scenario
    }()
}
