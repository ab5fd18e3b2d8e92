import NIOCore

/// Calls for something at a rate, whatever becomes of what it called for before. On one event loop.
final class Pacer {
    private let interval: TimeAmount
    private let loop: any EventLoop
    private let make: (_ number: Int, _ due: NIODeadline) -> Void
    private var next = 0
    private var began = NIODeadline.now()
    private var task: Scheduled<Void>?
    private var isStopped = false

    /// - Parameter rate: per second; 0: never.
    init(rate: Double, loop: any EventLoop, _ make: @escaping (_ number: Int, _ due: NIODeadline) -> Void) {
        self.interval = rate > 0 ? .spanning(1 / rate) : .zero
        self.loop = loop
        self.make = make
    }

    func start() {
        guard self.interval > .zero else { return }
        self.began = .now()
        self.schedule()
    }

    func stop() {
        self.isStopped = true
        self.task?.cancel()
    }

    private func due(_ number: Int) -> NIODeadline { self.began + .nanoseconds(self.interval.nanoseconds * Int64(number)) }

    private func schedule() {
        let bound = NIOLoopBound(self, eventLoop: self.loop)
        self.task = self.loop.scheduleTask(deadline: self.due(self.next)) { bound.value.makeDue() }
    }

    /// All that is due: several, if the loop was late.
    private func makeDue() {
        let now = NIODeadline.now()
        while !self.isStopped, self.due(self.next) <= now {
            self.make(self.next, self.due(self.next))
            self.next += 1
        }
        if !self.isStopped { self.schedule() }
    }
}
