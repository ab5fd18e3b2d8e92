import Synchronization

/// An order to stop that may come from any thread, before a run, during it or after it.
final class StopOrder: Sendable {
    private struct State {
        var isGiven = false
        var action: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// Gives the order; the run's action is called at once, and once only.
    func give() {
        let action = state.withLock { state in
            defer { state.action = nil }
            state.isGiven = true
            return state.action
        }
        action?()
    }

    /// Says what to do when the order comes, or came already.
    func whenGiven(_ action: @escaping @Sendable () -> Void) {
        let isGiven = state.withLock { state in
            if !state.isGiven { state.action = action }
            return state.isGiven
        }
        if isGiven { action() }
    }

    /// The run is over: an order means nothing to it any more.
    func forget() { state.withLock { $0.action = nil } }
}
