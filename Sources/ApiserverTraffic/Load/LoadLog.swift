import ChaosCore
import NIOCore

/// Turns what the parts of a load notice into observations. On one event loop.
final class LoadLog {
    private struct Stream: Hashable {
        let kind: Observation.Kind
        let http: String
    }

    private let who: String
    private let recorder: Recorder
    private var flows: [Stream: (count: Int, latest: TimeAmount)] = [:]
    private var awaited: Set<ObjectIdentifier> = []
    private var whenRunning: (() -> Void)?
    /// Nothing is worth noting any more.
    var isClosed = false

    init(who: String, recorder: Recorder) {
        self.who = who
        self.recorder = recorder
    }

    func note(
        _ kind: Observation.Kind, _ http: String, _ what: Observation.What, t: NIODeadline, took: TimeAmount? = nil,
        why: String? = nil, by: String? = nil
    ) {
        guard !self.isClosed else { return }
        self.recorder.note(
            Observation(
                t: t.inSeconds, who: self.who, kind: kind, http: http, what: what, took: took.map { max(0, $0.inSeconds) },
                why: why, by: by))
    }

    func harm(_ kind: Observation.Kind, _ http: String, _ harm: FoundHarm) {
        self.recorder.note(
            Observation(
                t: NIODeadline.now().inSeconds, who: self.who, kind: kind, http: http, what: .harm, why: harm.why,
                harm: harm.harm, count: harm.count))
    }

    func flow(_ kind: Observation.Kind, _ http: String, late: TimeAmount) {
        let stream = Stream(kind: kind, http: http)
        let before = self.flows[stream] ?? (0, .zero)
        self.flows[stream] = (before.count + 1, max(before.latest, late))
    }

    /// To be called once a second.
    func noteFlows() {
        for (stream, flow) in self.flows.sorted(by: { ($0.key.kind.rawValue, $0.key.http) < ($1.key.kind.rawValue, $1.key.http) })
        {
            self.recorder.note(
                Observation(
                    t: NIODeadline.now().inSeconds, who: self.who, kind: stream.kind, http: stream.http, what: .flow,
                    took: max(0, flow.latest.inSeconds), count: flow.count))
        }
        self.flows = [:]
    }

    // MARK: Whether everything runs

    func await(_ parts: [AnyObject], _ whenRunning: @escaping () -> Void) {
        self.awaited = Set(parts.map { ObjectIdentifier($0) })
        self.whenRunning = whenRunning
        self.tellIfRunning()
    }

    func running(_ part: AnyObject) {
        self.awaited.remove(ObjectIdentifier(part))
        self.tellIfRunning()
    }

    private func tellIfRunning() {
        guard self.awaited.isEmpty, let whenRunning else { return }
        self.whenRunning = nil
        whenRunning()
    }
}
