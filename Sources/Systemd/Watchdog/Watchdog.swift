import Dispatch
import Foundation
import Synchronization
import Timing

/// Keeps telling systemd that the process is well, as long as it is.
///
/// It has a thread of its own: neither event loops nor Swift's pool can hold it up, so it notices when they are stuck.
package final class Watchdog: Sendable {
    private struct Asked: Sendable {
        let source: WatchdogSource
        let id: WatchdogGate.SourceID
        var questions = 0
        var isAnswered = true
    }

    private struct State: Sendable {
        var gate: WatchdogGate
        var asked: [Asked] = []
        var health = Health()
        var verdict = WatchdogGate.Verdict.ping
        var isFailing = false
        var isStopped = false
    }

    private let state: Mutex<State>
    private let notifier: Notifier
    private let clock: @Sendable () -> Moment
    private let report: @Sendable (Event) -> Void
    private let wake = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - interval: that of `WatchdogSec=`; see ``WatchdogInterval``.
    ///   - report: called on the watchdog's thread; must not wait on what is watched.
    package init(
        interval: Duration, notifier: Notifier, clock: @escaping @Sendable () -> Moment = { MonotonicTime.now },
        report: @escaping @Sendable (Event) -> Void
    ) {
        self.state = Mutex(State(gate: WatchdogGate(interval: interval)))
        self.notifier = notifier
        self.clock = clock
        self.report = report
    }

    package var health: Health { self.state.withLock { $0.health } }

    /// From any thread.
    package func watch(_ source: WatchdogSource) -> WatchdogGate.SourceID {
        let now = self.clock()
        return self.state.withLock { state in
            let id = state.gate.register(source.name, now: now)
            state.asked.append(Asked(source: source, id: id))
            return id
        }
    }

    /// The source has ended on purpose. From any thread.
    package func forget(_ id: WatchdogGate.SourceID) {
        self.state.withLock { state in
            state.gate.remove(id)
            state.asked.removeAll { $0.id == id }
        }
    }

    /// Starts the thread; to be called once. It runs until ``stop()``.
    package func start() {
        let thread = Thread { [self] in
            var next = self.clock()
            while !self.state.withLock({ $0.isStopped }) {
                let wait = next - self.clock()
                if wait > .zero {
                    _ = self.wake.wait(timeout: .now() + .nanoseconds(Int(clamping: wait.wholeNanoseconds)))
                    continue
                }
                next = self.beat(now: self.clock())
            }
        }
        thread.name = "watchdog"
        thread.start()
    }

    /// No further signs of life. From any thread.
    package func stop() {
        self.state.withLock { $0.isStopped = true }
        self.wake.signal()
    }

    /// One look at all sources: tells systemd, then asks each source that owes no answer.
    ///
    /// - Returns: when the next one is due.
    func beat(now: Moment) -> Moment {
        let (verdict, before) = self.state.withLock { state in
            let before = state.verdict
            let margin = state.gate.margin(now: now)
            state.verdict = state.gate.tick(now: now)
            state.health.note(state.verdict, margin: margin)
            return (state.verdict, before)
        }
        self.tell(verdict)
        if let event = Self.event(verdict, before: before) { self.report(event) }
        let questions = self.state.withLock { state in
            let open = state.asked.indices.filter { state.asked[$0].isAnswered }
            for index in open {
                state.asked[index].isAnswered = false
                state.asked[index].questions += 1
            }
            return open.map { state.asked[$0] }
        }
        for question in questions {
            question.source.ask { self.answered(question) }
        }
        return self.state.withLock { $0.gate.nextTick(after: now) }
    }

    /// Only the first answer to the latest question counts.
    private func answered(_ question: Asked) {
        let now = self.clock()
        self.state.withLock { state in
            guard let index = state.asked.firstIndex(where: { $0.id == question.id }) else { return }
            guard state.asked[index].questions == question.questions, !state.asked[index].isAnswered else { return }
            state.asked[index].isAnswered = true
            state.gate.answered(question.id, now: now)
        }
    }

    private func tell(_ verdict: WatchdogGate.Verdict) {
        do {
            switch verdict {
            case .ping: try self.notifier.ping()
            case .withhold: return
            case .trigger: try self.notifier.trigger()
            }
            self.state.withLock { $0.isFailing = false }
        } catch {
            let isNew = self.state.withLock { state in
                defer { state.isFailing = true }
                return !state.isFailing
            }
            if isNew { self.report(.notTold(error)) }
        }
    }

    private static func event(_ verdict: WatchdogGate.Verdict, before: WatchdogGate.Verdict) -> Event? {
        guard verdict != before else { return nil }
        switch verdict {
        case .ping: return .recovered
        case .withhold(let late): return .late(late)
        case .trigger(let stuck): return .triggered(stuck)
        }
    }
}
