import Timing

/// The monotonic clock of one machine: it starts anywhere and runs up to a tenth too fast or too slow.
struct SimulatedClock: Sendable {
    /// Its reading at the world's time 0, in nanoseconds.
    let offset: Int64
    let rate: Double

    func reading(at time: Int64) -> Moment {
        Moment(nanoseconds: self.offset + Int64((Double(time) * self.rate).rounded(.down)))
    }

    /// The first time of the world at which it shows `moment` or later.
    func time(of moment: Moment) -> Int64 {
        // Far-away moments stay far away without overflowing.
        let shown = Double(moment.nanoseconds) - Double(self.offset)
        guard abs(shown) < 1e17 else { return shown < 0 ? 0 : .max / 4 }
        var time = Int64((shown / self.rate).rounded(.down))
        while self.reading(at: time) < moment { time += 1 }
        return time
    }
}
