import Dispatch
import Foundation
import Synchronization
import Testing
import Timing

@testable import Systemd

extension SystemdTests {
    /// An interval of 8 s of a clock that stands still unless a test turns it.
    @Suite struct WatchdogTests {
        /// What the watchdog does, and questions that are answered when the test wants it.
        private final class World: Sendable {
            struct State {
                var now = Moment(nanoseconds: 0)
                var said: [String] = []
                var events: [String] = []
                var questions: [String: [@Sendable () -> Void]] = [:]
                var isDeaf = false
            }

            let state = Mutex(State())

            var notifier: Watchdog.Notifier {
                Watchdog.Notifier(ping: { try self.say("ping") }, trigger: { try self.say("trigger") })
            }

            func watchdog() -> Watchdog {
                Watchdog(interval: .seconds(8), notifier: self.notifier, clock: { self.state.withLock { $0.now } }) { event in
                    self.state.withLock { $0.events.append(Self.text(event)) }
                }
            }

            func source(_ name: String) -> WatchdogSource {
                WatchdogSource(name: name) { completion in
                    self.state.withLock { $0.questions[name, default: []].append(completion) }
                }
            }

            func open(_ name: String) -> Int { self.state.withLock { $0.questions[name]?.count ?? 0 } }

            func answer(_ name: String) {
                let open = self.state.withLock { $0.questions.removeValue(forKey: name) ?? [] }
                for completion in open { completion() }
            }

            func beat(_ watchdog: Watchdog, at seconds: Double) {
                let now = Moment(nanoseconds: Int64(seconds * 1e9))
                self.state.withLock { $0.now = now }
                _ = watchdog.beat(now: now)
            }

            var said: [String] { self.state.withLock { $0.said } }
            var events: [String] { self.state.withLock { $0.events } }

            private func say(_ what: String) throws {
                try self.state.withLock { state in
                    if state.isDeaf { throw SystemdError.failed(call: what, code: 111) }
                    state.said.append(what)
                }
            }

            private static func text(_ event: Watchdog.Event) -> String {
                switch event {
                case .late(let names): "late \(names)"
                case .recovered: "recovered"
                case .triggered(let names): "triggered \(names)"
                case .notTold: "not told"
                }
            }
        }

        @Test func itPingsAsLongAsAllAnswer() {
            let world = World()
            let watchdog = world.watchdog()
            for name in ["loop", "control"] { _ = watchdog.watch(world.source(name)) }
            for second in [0.0, 2, 4, 6, 8, 10] {
                world.beat(watchdog, at: second)
                world.answer("loop")
                world.answer("control")
            }
            #expect(world.said == Array(repeating: "ping", count: 6))
            #expect(world.events.isEmpty)
            #expect(watchdog.health == Watchdog.Health(margin: 0.75, lowestMargin: 0.75, late: [], pings: 6, withheld: 0))
        }

        @Test func aStuckSourceIsAskedOnceAndEndsInTheTrigger() {
            let world = World()
            let watchdog = world.watchdog()
            for name in ["loop", "control"] { _ = watchdog.watch(world.source(name)) }
            for second in [0.0, 2, 4, 6, 8, 10] {
                world.beat(watchdog, at: second)
                world.answer("loop")
                #expect(world.open("control") == 1)
            }
            #expect(world.said == ["ping", "ping", "trigger", "trigger"])
            #expect(world.events == ["late [\"control\"]", "triggered [\"control\"]"])
            #expect(watchdog.health.late == ["control"])
            #expect(watchdog.health.withheld == 4)
            #expect(watchdog.health.margin == -0.25)
        }

        @Test func aLateAnswerIsEnough() {
            let world = World()
            let watchdog = world.watchdog()
            _ = watchdog.watch(world.source("loop"))
            for second in [0.0, 2, 4, 6] { world.beat(watchdog, at: second) }
            world.answer("loop")
            world.beat(watchdog, at: 8)
            #expect(world.said == ["ping", "ping", "ping"])
            #expect(world.events == ["late [\"loop\"]", "recovered"])
            #expect(world.open("loop") == 1)
        }

        @Test func anAnswerCountsOnce() {
            let world = World()
            let watchdog = world.watchdog()
            _ = watchdog.watch(world.source("loop"))
            world.beat(watchdog, at: 0)
            let first = world.state.withLock { $0.questions.removeValue(forKey: "loop") ?? [] }
            for completion in first { completion() }
            world.beat(watchdog, at: 2)
            for completion in first { completion() }
            world.beat(watchdog, at: 4)
            // The second answer to the first question is no answer to the second one, which is still open.
            #expect(world.open("loop") == 1)
            #expect(world.said == ["ping", "ping"])
        }

        @Test func aForgottenSourceIsNeitherAskedNorWaitedFor() {
            let world = World()
            let watchdog = world.watchdog()
            let id = watchdog.watch(world.source("loop"))
            world.beat(watchdog, at: 0)
            watchdog.forget(id)
            for second in [2.0, 4, 6, 8, 10] { world.beat(watchdog, at: second) }
            world.answer("loop")
            world.beat(watchdog, at: 12)
            #expect(world.said == Array(repeating: "ping", count: 7))
            #expect(world.open("loop") == 0)
        }

        @Test func thatSystemdCannotBeToldIsSaidOnce() {
            let world = World()
            let watchdog = world.watchdog()
            world.state.withLock { $0.isDeaf = true }
            for second in [0.0, 2, 4] { world.beat(watchdog, at: second) }
            #expect(world.events == ["not told"])
            world.state.withLock { $0.isDeaf = false }
            world.beat(watchdog, at: 6)
            world.state.withLock { $0.isDeaf = true }
            world.beat(watchdog, at: 8)
            #expect(world.events == ["not told", "not told"])
            #expect(world.said == ["ping"])
        }

        /// With its thread and the real clock: it goes on while the pool that others share is stuck, and stops when a source is.
        @Test func theThreadIsItsOwn() async {
            let pings = Mutex(0)
            let triggered = AsyncStream.makeStream(of: Void.self)
            let notifier = Watchdog.Notifier(
                ping: { pings.withLock { $0 += 1 } }, trigger: { triggered.continuation.yield() })
            let stuck = DispatchSemaphore(value: 0)
            let queue = DispatchQueue(label: "stuck")
            let watchdog = Watchdog(interval: .milliseconds(200), notifier: notifier) { _ in }
            _ = watchdog.watch(WatchdogSource(name: "queue") { completion in queue.async { completion() } })
            watchdog.start()
            while pings.withLock({ $0 }) < 3 { await Task.yield() }
            queue.async { stuck.wait() }
            for await _ in triggered.stream { break }
            stuck.signal()
            let before = pings.withLock { $0 }
            while pings.withLock({ $0 }) == before { await Task.yield() }
            watchdog.stop()
            #expect(watchdog.health.withheld > 0)
        }
    }
}
