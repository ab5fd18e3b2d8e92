import NIOCore
import Timing
import TunnelSession
import TunnelWire

/// Pumping and timers.
extension SessionDriver {
    /// Pumps once all events of this turn of the loop are in, so that what belongs together travels together.
    func planPump() {
        guard !self.isPumpPlanned, !self.isEnded else { return }
        self.isPumpPlanned = true
        self.environment.eventLoop.assumeIsolated().execute {
            self.isPumpPlanned = false
            self.pump()
        }
    }

    /// Writes what the session has for the link, and has the sources read that have room again.
    func pump() {
        guard !self.isPumping, !self.isEnded else { return }
        self.isPumping = true
        self.session.pressure = self.environment.budget.pressure
        let now = self.environment.now
        // Before anything is written: a link that is fast leaves nobody waiting afterwards.
        self.environment.sizing.isCompeting = self.session.isCompeting
        if let link = self.link {
            while link.isWritable, self.writeBatch(to: link, now: now) {}
        }
        while let id = self.session.nextHungry() { self.locals[id]?.socket?.readMore() }
        self.isPumping = false
        self.settle()
    }

    /// True when something was written.
    private func writeBatch(to link: LinkHandler, now: Moment) -> Bool {
        var written = 0
        while written < Self.batch, let frame = self.session.nextWrite(now: now) {
            written += frame.readableBytes
            link.write(frame)
        }
        guard written > 0 else { return false }
        self.environment.metrics.bytesOut.increment(by: Int64(written))
        link.flush(bytes: written, now: now)
        return true
    }

    /// Brings budget, pool and timer up to date.
    private func settle() {
        guard !self.isEnded else { return }
        let held = self.session.heldBytes
        self.environment.budget.adjust(by: held - self.chargedBytes)
        self.chargedBytes = held
        self.count(streams: self.locals.count, replay: self.session.replayBytes)
        while let buffer = self.session.released.popLast() { self.environment.pool.give(buffer) }
        self.dropAnsweredOpenings()
        self.planTimer()
    }

    func count(streams: Int, replay: Int) {
        self.environment.metrics.streams.increment(by: Double(streams - self.countedStreams))
        self.environment.metrics.replayBytes.increment(by: Double(replay - self.countedReplay))
        (self.countedStreams, self.countedReplay) = (streams, replay)
    }

    /// Forgets the openings that were answered, up to the first that was not.
    private func dropAnsweredOpenings() {
        while let first = self.openings.first, self.locals[first.id]?.isOpen ?? true { self.openings.removeFirst() }
    }

    /// Gives up on the streams whose OPEN was not answered in time.
    private func expireOpenings(now: Moment) {
        self.dropAnsweredOpenings()
        while let first = self.openings.first, first.deadline <= now {
            self.openings.removeFirst()
            defer { self.dropAnsweredOpenings() }
            guard let stream = self.locals.removeValue(forKey: first.id) else { continue }
            let refusal = Refusal(.timedOut, "no answer to OPEN within \(Self.openTimeout.inSeconds) s")
            self.environment.metrics.refused(refusal.code)
            self.session.reset(first.id, .cancelled)
            stream.socket?.abort()
            stream.report?(.ended(.refused(refusal)))
        }
    }

    func planTimer() {
        guard !self.isEnded, var wanted = Moment.earlier(self.session.nextTimer, self.openings.first?.deadline) else { return }
        let now = self.environment.now
        if self.session.pressure == .exhausted { wanted = min(wanted, now + Self.pressurePoll) }
        if let timerAt = self.timerAt, timerAt <= wanted { return }
        self.timer?.cancel()
        self.timerAt = wanted
        let delay = max(0, wanted.nanoseconds - now.nanoseconds)
        self.timer = self.environment.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { self.timerFired() }
    }

    private func timerFired() {
        self.timerAt = nil
        #if FAULTS
        self.timerFirings += 1
        #endif
        guard !self.isEnded else { return }
        let now = self.environment.now
        self.expireOpenings(now: now)
        switch self.session.onTimer(now: now) {
        case .linkSilent:
            // The connection may take long to close; the session does not wait for it.
            guard let link = self.link else { return }
            link.abandon()
            self.linkClosed(link, cause: .silent)
        case .resumeExpired: self.end(.resumeExpired)
        case nil:
            self.reportHeartbeat()
            self.pump()
        }
    }
}

extension TransportEnvironment {
    /// The monotonic clock of the event loops.
    package var now: Moment { Moment(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }
}
