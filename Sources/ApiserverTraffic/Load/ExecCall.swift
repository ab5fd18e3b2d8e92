import ChaosCore
import NIOCore

/// A two-way stream that is made again, as another, whenever it breaks. On one event loop.
final class ExecCall: ExecObserver {
    private static let interval = TimeAmount.milliseconds(200)

    private let name: String
    private let open: (ExecHandler, @escaping (String) -> Void) -> Void
    private let log: LoadLog
    private let loop: any EventLoop
    private var number = 0
    private var backoff = Backoff()
    private var present: ExecHandler?
    private var began = NIODeadline.now()
    private var opened: NIODeadline?
    private var isStopped = false
    private var whenStopped: (() -> Void)?

    /// - Parameters:
    ///   - name: unique among all streams; its tries are numbered after it.
    ///   - open: puts a handler on a connection, or says why it cannot.
    init(
        name: String, log: LoadLog, loop: any EventLoop,
        open: @escaping (ExecHandler, @escaping (String) -> Void) -> Void
    ) {
        self.name = name
        self.log = log
        self.loop = loop
        self.open = open
    }

    func start() {
        guard !self.isStopped else { return }
        self.number += 1
        self.began = .now()
        self.opened = nil
        let handler = ExecHandler(
            calling: ExecHello(id: "\(self.name)/\(self.number)", interval: Self.interval), observer: self)
        self.present = handler
        self.open(handler) { why in if handler === self.present { self.execBroken(why: why) } }
    }

    /// Ends it in order.
    func stop(_ whenStopped: @escaping () -> Void) {
        self.isStopped = true
        guard self.opened != nil, let present else { return whenStopped() }
        self.whenStopped = whenStopped
        present.finish()
    }

    func execOpened(_ hello: ExecHello) {
        self.opened = .now()
        self.backoff.reset()
        self.log.note(.exec, "1.1", .opened, t: self.began, took: .now() - self.began)
        self.log.running(self)
    }

    func execArrived(late: Double) { self.log.flow(.exec, "1.1", late: .spanning(late)) }

    func execHarmed(_ harm: Observation.Harm, count: Int, why: String) {
        self.log.harm(.exec, "1.1", FoundHarm(harm: harm, count: count, why: "\(self.name)/\(self.number): \(why)"))
    }

    func execFinished() {
        if let opened {
            self.log.note(
                .exec, "1.1", self.isStopped ? .done : .ended, t: self.isStopped ? opened : .now(), took: .now() - opened)
        }
        self.over()
    }

    func execBroken(why: String) {
        if let opened {
            self.log.note(.exec, "1.1", .ended, t: .now(), took: .now() - opened, why: why)
        } else if !self.isStopped {
            self.log.note(.exec, "1.1", .failed, t: self.began, took: .now() - self.began, why: why)
        }
        self.over()
    }

    private func over() {
        self.present = nil
        self.opened = nil
        if let whenStopped {
            self.whenStopped = nil
            return whenStopped()
        }
        let bound = NIOLoopBound(self, eventLoop: self.loop)
        self.loop.scheduleTask(in: self.backoff.next()) { bound.value.start() }
    }
}
