import Admin
import TunnelSession
import TunnelTransport

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
