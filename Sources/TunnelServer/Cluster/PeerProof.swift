import Identity
import NIOCore
import Synchronization
import TunnelTransport
import TunnelWire

/// What this server proves to its peers when it dials them; new secrets and the id of a cluster that was founded count from
/// the next dial on.
final class PeerProof: Sendable {
    private struct State {
        var party: LocalParty
        var tls: TLSContext
        var credential: DialerCredential?
    }

    private let state: Mutex<State>

    init(party: LocalParty, tls: TLSContext, credential: DialerCredential?) {
        self.state = Mutex(State(party: party, tls: tls, credential: credential))
    }

    var party: LocalParty { self.state.withLock { $0.party } }

    func replace(cluster: String) { self.state.withLock { $0.party.cluster = cluster } }

    func replace(tls: TLSContext, credential: DialerCredential?) {
        self.state.withLock { state in
            state.tls = tls
            state.credential = credential
        }
    }

    func dialer(on eventLoop: any EventLoop) -> PeerDialer {
        let state = self.state.withLock { $0 }
        return PeerDialer(
            eventLoop: eventLoop, tls: state.tls, party: state.party, credential: state.credential ?? .certificate)
    }
}
