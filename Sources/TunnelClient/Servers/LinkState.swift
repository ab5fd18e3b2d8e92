import Admin
import Synchronization
import Timing
import TunnelSession
import TunnelTransport

/// How many links are in which state; written by the event loop, read by whoever scrapes metrics.
final class LinkCounts: Sendable {
    private let counts = Mutex<[LinkStatus.State: Int]>([:])

    func set(_ counts: [LinkStatus.State: Int]) { self.counts.withLock { $0 = counts } }

    subscript(_ state: LinkStatus.State) -> Int { self.counts.withLock { $0[state] ?? 0 } }
}

/// One link as status shows it.
struct LinkState {
    var server: String?
    var address: String
    var state: LinkStatus.State
    var roundTrip: Duration?
    var since: Timestamp
    var reason: String?
}

extension LinkStatus {
    init(_ link: LinkState) {
        self.init(
            server: link.server, addr: link.address, state: link.state, rttSeconds: link.roundTrip?.inSeconds,
            since: link.since, reason: link.reason)
    }
}
