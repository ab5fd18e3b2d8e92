import NIOCore
import Synchronization

/// What a backend counts, and which connections it has.
final class BackendTally: Sendable {
    enum Listener { case https, pattern }

    private struct State {
        var stats = BackendStats()
        var https = 0
        var pattern: [ObjectIdentifier: any Channel] = [:]
    }

    private let state = Mutex(State())

    var stats: BackendStats { state.withLock { $0.stats } }
    /// The connections to the pattern server.
    var patternChannels: [any Channel] { state.withLock { Array($0.pattern.values) } }

    func count(_ change: (inout BackendStats) -> Void) { state.withLock { change(&$0.stats) } }

    /// Counts a connection until it closes. False: there are too many.
    func accept(_ channel: any Channel, at listener: Listener) -> Bool {
        let id = ObjectIdentifier(channel)
        let isAccepted = state.withLock { state in
            switch listener {
            case .https:
                guard state.https < Backend.connectionLimit else { return false }
                state.https += 1
                state.stats.httpsConnections += 1
            case .pattern:
                guard state.pattern.count < Backend.connectionLimit else { return false }
                state.pattern[id] = channel
                state.stats.patternConnections += 1
            }
            return true
        }
        guard isAccepted else { return false }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                switch listener {
                case .https: state.https -= 1
                case .pattern: state.pattern[id] = nil
                }
            }
        }
        return true
    }
}
