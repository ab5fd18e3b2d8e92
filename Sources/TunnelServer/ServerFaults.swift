#if FAULTS
#if canImport(Glibc)
import Glibc
#endif

/// What tests break in a server on purpose, to see whether its watchdog notices.
extension GotunnelServer {
    package func suffer(_ fault: String) async -> Bool {
        switch fault {
        case "block-loop": self.context.loops.first?.eventLoop.execute { Self.hang() }
        case "block-control": self.context.cluster.post { Self.hang() }
        case "block-disk": self.context.cluster.blockDisk { Self.hang() }
        default: return false
        }
        return true
    }

    private static func hang() { while true { sleep(1_000) } }
}
#endif
