#if canImport(Glibc)
import Glibc
#endif

/// The time of day, for people and for what outlives the process.
enum WallClock {
    /// Since 1970, UTC.
    static var milliseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(clamping: Int(time.tv_sec) * 1_000 + Int(time.tv_nsec) / 1_000_000)
    }
}
