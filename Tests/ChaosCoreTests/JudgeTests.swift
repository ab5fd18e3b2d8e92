import ChaosCore
import Testing

/// Every promise holds in a good run, and is broken by the one fault that it is about: a judge that never fires proves nothing.
@Suite("The judge of a chaos run") struct JudgeTests {
    /// A promise, and what breaks it.
    struct Spoil: Sendable, CustomTestStringConvertible {
        let promise: Promise
        let how: String
        let spoil: @Sendable (inout MadeRun) -> Void

        var testDescription: String { "\(self.promise.line): \(self.how)" }
    }

    static let spoils: [Spoil] = [
        Spoil(promise: .failed(.new, .atMost(0)), how: "a request fails") { $0.request(at: 120, fails: true) },
        Spoil(promise: .failed(.new, .perFault(1)), how: "two fail") {
            $0.request(at: 120, fails: true)
            $0.request(at: 121, fails: true)
        },
        Spoil(promise: .failed(.get, .share(0.001)), how: "one in a hundred fails") { run in
            for number in 0..<8 { run.request(.get, at: 120 + Double(number) / 10, fails: true) }
        },
        Spoil(promise: .slowest(.new, .milliseconds(300)), how: "one takes longer") { $0.request(at: 120, took: 0.31) },
        Spoil(promise: .slowest(.new, .milliseconds(300)), how: "one takes longer that a fault met, and none may fail") {
            $0.request(at: 109.9, took: 0.5)
        },
        Spoil(promise: .p99(.get, .milliseconds(50)), how: "a few take longer") { run in
            for number in 0..<12 { run.request(.get, at: 120 + Double(number) / 10, took: 0.06) }
        },
        Spoil(promise: .longestSilence(.seconds(1)), how: "a worker gets no answer") { run in
            run.evidence.observations.removeAll { $0.who == "worker-2" && $0.t > 115 && $0.t < 116.5 }
        },
        Spoil(promise: .latestEvent(.seconds(2)), how: "an event is late") { run in
            run.add(Observation(t: 120, who: "worker-1", kind: .watch, http: "2", what: .flow, took: 2.1, count: 1))
        },
        Spoil(promise: .latestEvent(.seconds(2)), how: "a watch is silent at the end") { run in
            run.evidence.observations.removeAll { $0.who == "worker-1" && $0.what == .flow && $0.t > 134 }
        },
        Spoil(promise: .latestEvent(.seconds(2)), how: "a client never gets one") { run in
            run.evidence.observations.removeAll { $0.who == "worker-2" && $0.what == .flow }
        },
        Spoil(promise: .broken(.atMost(0)), how: "a watch ends") { run in
            run.add(Observation(t: 120, who: "worker-1", kind: .watch, http: "2", what: .ended, took: 20, why: "reset"))
        },
        Spoil(promise: .recovered(.seconds(3)), how: "a request fails long after") { $0.request(at: 116, fails: true) },
        Spoil(promise: .recovered(.seconds(3)), how: "a request is slow long after") { $0.request(.get, at: 116, took: 0.4) },
        Spoil(promise: .leaderless(.seconds(1)), how: "views name no leader") { run in
            run.evidence.views = run.evidence.views.map { $0.t > 120 && $0.t < 122 ? MadeRun.view($0.t, leader: nil) : $0 }
        },
        Spoil(promise: .leaderless(.seconds(1)), how: "the one named is stopped") { run in
            run.evidence.faults.append(
                FaultRecord(number: 1, action: "stop", victims: ["controller-3"], began: 120, there: 120, ended: 122))
        },
        Spoil(promise: .leaderless(.seconds(1)), how: "the one named has ended") { run in
            run.evidence.lives[2].ended = 120
        },
        Spoil(promise: .noFalseDeath, how: "somebody who runs is held dead") { run in
            run.evidence.verdicts.append(DeathVerdict(t: 105, server: "controller-3", peer: "controller-2"))
        },
        Spoil(promise: .noFalseDeath, how: "somebody who is slow is held dead") { run in
            run.evidence.faults.append(
                FaultRecord(number: 1, action: "starve", victims: ["controller-2"], began: 119, there: 119, ended: 122))
            run.evidence.verdicts.append(DeathVerdict(t: 120, server: "controller-3", peer: "controller-2"))
        },
        Spoil(promise: .noFalseDeath, how: "somebody is held dead by one from whom it is not cut off") { run in
            run.evidence.faults.append(
                FaultRecord(
                    number: 1, action: "cut", victims: ["controller-1", "controller-2", "controller-3"],
                    others: ["controller-2", "controller-3"], began: 119, there: 119, ended: 122))
            run.evidence.verdicts.append(DeathVerdict(t: 120, server: "controller-3", peer: "controller-2"))
        },
        Spoil(promise: .noFalseDeath, how: "somebody is held dead long after it was back") { run in
            run.evidence.verdicts.append(DeathVerdict(t: 118, server: "controller-3", peer: "controller-1"))
        },
        Spoil(promise: .portsKept, how: "a port changes") { $0.evidence.views.append(MadeRun.view(139, port: 20_002)) },
        Spoil(promise: .portsKept, how: "two have one port") { run in
            run.evidence.views[100].servers[0].ports["worker-2/kubelet"] = 20_001
        },
        Spoil(promise: .agreement(.seconds(10)), how: "it comes too late") { $0.evidence.agreement.after = 10.5 },
        Spoil(promise: .agreement(.seconds(10)), how: "it never comes") { run in
            run.evidence.agreement.after = nil
            run.evidence.agreement.differences = ["controller-2 does not answer"]
        },
        Spoil(promise: .restartedWithin(.seconds(5)), how: "nobody comes back") { $0.evidence.lives.remove(at: 1) },
        Spoil(promise: .restartedWithin(.seconds(5)), how: "it takes longer") { $0.evidence.lives[1].started = 116 },
        Spoil(promise: .openFiles(20), how: "files stay open") { $0.evidence.usage[2].openFiles = 61 },
        Spoil(promise: .memory(16 << 20), how: "memory grows") { $0.evidence.usage[2].memory = 70 << 20 },
        Spoil(promise: .noHarm, how: "a byte is another") { run in
            run.add(Observation(t: 120, who: "worker-1", kind: .list, http: "2", what: .harm, why: "…", harm: .corrupt, count: 1))
        },
        Spoil(promise: .noHarm, how: "two apiservers took one request") { run in
            for who in ["apiserver-1", "apiserver-2"] {
                run.add(
                    Observation(t: 120, who: who, kind: .upload, http: "1.1", what: .accepted, id: "worker-1/upload/7", by: who))
            }
        },
        Spoil(promise: .noHarm, how: "an apiserver took one request before and after its restart") { run in
            for t in [120.0, 125] {
                run.add(
                    Observation(
                        t: t, who: "apiserver-1", kind: .upload, http: "1.1", what: .accepted, id: "worker-1/upload/7",
                        by: "apiserver-1"))
            }
        },
        Spoil(promise: .oneLeaderPerTerm, how: "two claims") { run in
            run.evidence.claims.append(LeaderClaim(t: 120, server: "controller-2", term: 2))
        },
        Spoil(promise: .oneLeaderPerTerm, how: "a claim and a view") { run in
            run.evidence.views.append(MadeRun.view(139, leader: "controller-1"))
        },
        Spoil(promise: .allAlive, how: "a process ends by itself") { run in
            run.evidence.lives[2].ended = 120
            run.evidence.lives[2].end = "SIGSEGV"
        },
        Spoil(promise: .allAlive, how: "a process crashes when told to end") { $0.evidence.lives[0].end = "SIGSEGV" },
        Spoil(promise: .allAlive, how: "a process fails when told to end") { $0.evidence.lives[0].end = "exit 70" },
        Spoil(promise: .cleanLogs, how: "an error is logged") { run in
            run.evidence.logTroubles.append(LogTrouble(process: "controller-1", line: "Fatal error"))
        },
    ]

    @Test("held in a good run, broken by its fault", arguments: spoils)
    func everyPromiseFires(_ spoil: Spoil) {
        var run = MadeRun(spoil.promise)
        #expect(run.first.outcome == .held, "\(run.first)")
        spoil.spoil(&run)
        #expect(run.first.outcome == .broken, "\(run.first)")
        #expect(run.first.promise == spoil.promise.line)
    }

    @Test("a run in which nothing was seen keeps no promise", arguments: spoils.map(\.promise))
    func nothingSeenIsNothingHeld(_ promise: Promise) {
        var run = MadeRun(promise)
        run.evidence = Evidence(began: 100, healed: 130, ended: 140)
        #expect(run.first.outcome == .void, "\(run.first)")
    }
}
