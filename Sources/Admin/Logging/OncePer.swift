import Synchronization

/// Lets the same thing be logged once per interval and counts the rest, so that whoever can cause a log line cannot fill the log.
///
/// Bounded: at most `capacity` pairs of kind and source are remembered. While the table is full of recent ones, new sources share
/// one entry per kind, so the lines in one interval never exceed `capacity` plus the number of kinds.
package final class OncePer: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private struct Key: Hashable {
        var kind: String
        /// `nil`: the entry for all the sources that found no room.
        var source: String?
    }

    private struct Entry {
        var until: Instant
        var suppressed = 0
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        /// No entry ends before this; saves a search through a table that is full of recent entries.
        var nextSweep: Instant?
    }

    private let interval: Duration
    private let capacity: Int
    private let state = Mutex(State())

    package init(interval: Duration, capacity: Int = 1024) {
        self.interval = interval
        self.capacity = max(1, capacity)
    }

    /// Whether to log now: `nil` means no; a number means yes, and that many were left out since the last yes.
    ///
    /// - Parameters:
    ///   - kind: one of a few constants.
    ///   - source: from whom, such as an address without its port.
    package func admit(kind: String, source: String, now: Instant = .now) -> Int? {
        state.withLock { state in
            var key = Key(kind: kind, source: String(source.prefix(SafeText.limit)))
            if state.entries[key] == nil, state.entries.count >= capacity {
                sweep(&state, now: now)
                if state.entries.count >= capacity { key.source = nil }
            }
            if let entry = state.entries[key], now < entry.until {
                state.entries[key]?.suppressed += 1
                return nil
            }
            let suppressed = state.entries[key]?.suppressed ?? 0
            state.entries[key] = Entry(until: now + interval)
            return suppressed
        }
    }

    /// How many pairs are remembered.
    var count: Int { state.withLock { $0.entries.count } }

    private func sweep(_ state: inout State, now: Instant) {
        if let next = state.nextSweep, now < next { return }
        state.entries = state.entries.filter { now < $0.value.until }
        state.nextSweep = state.entries.values.map(\.until).min()
    }
}
