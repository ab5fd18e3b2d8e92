import Timing

#if canImport(Glibc)
import Glibc
#endif

/// CLOCK_BOOTTIME: monotonic, and it goes on while the machine sleeps, as a lease does elsewhere.
enum BootClock {
    static var now: Moment {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Moment(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
