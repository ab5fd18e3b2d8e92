import Timing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// CLOCK_MONOTONIC, the clock that systemd measures timeouts and reloads by. It stands still while the machine sleeps.
package enum MonotonicTime {
    package static var now: Moment {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Moment(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

extension Duration {
    /// As systemd wants spans: whole microseconds, not negative.
    var wholeMicroseconds: UInt64 { UInt64(clamping: self.wholeNanoseconds / 1000) }
}
