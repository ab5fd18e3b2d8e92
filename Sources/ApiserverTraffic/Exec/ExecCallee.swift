import ChaosCore
import NIOCore

/// The record of a two-way stream's called end: an apiserver, or a kubelet behind an exposure.
final class ExecCallee: ExecObserver {
    private let who: String
    private let recorder: Recorder
    private let requests: SeenRequests
    private var id = "?"

    init(who: String, recorder: Recorder, requests: SeenRequests) {
        self.who = who
        self.recorder = recorder
        self.requests = requests
    }

    func execOpened(_ hello: ExecHello) {
        self.id = hello.id
        self.requests.accept(hello.id, .exec)
    }

    func execArrived(late: Double) {}

    func execHarmed(_ harm: Observation.Harm, count: Int, why: String) {
        self.recorder.note(
            Observation(
                t: NIODeadline.now().inSeconds, who: self.who, kind: .exec, http: "1.1", what: .harm,
                why: "\(self.id), from the caller: \(why)", harm: harm, count: count))
    }

    func execFinished() {}
    /// The caller notes it.
    func execBroken(why: String) {}
}

/// The requests that must not come twice. On one event loop.
final class SeenRequests {
    /// So many are remembered, the latest.
    private static let most = 200_000

    private let who: String
    private let recorder: Recorder
    private var seen: Set<String> = []

    init(who: String, recorder: Recorder) {
        self.who = who
        self.recorder = recorder
    }

    func accept(_ id: String, _ kind: Observation.Kind) {
        let now = NIODeadline.now().inSeconds
        if !self.seen.insert(id).inserted {
            self.recorder.note(
                Observation(
                    t: now, who: self.who, kind: kind, http: "1.1", what: .harm, why: "the request \(id) came again",
                    harm: .repeated, count: 1, id: id))
        }
        if self.seen.count > Self.most { self.seen.removeAll() }
        self.recorder.note(Observation(t: now, who: self.who, kind: kind, http: "1.1", what: .accepted, id: id, by: self.who))
    }
}
