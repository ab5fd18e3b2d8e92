#if FAULTS
#if canImport(Glibc)
import Glibc
#endif

/// What tests break in a client on purpose, to see whether its watchdog notices.
extension GotunnelClient {
    package func suffer(_ fault: String) async -> Bool {
        guard fault == "block-loop" else { return false }
        self.eventLoop.execute { while true { sleep(1_000) } }
        return true
    }
}
#endif
