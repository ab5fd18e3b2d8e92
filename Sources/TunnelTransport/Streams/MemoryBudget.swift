import Synchronization
import TunnelSession

/// The memory that all sessions of the process together may hold for bytes under way.
///
/// From 80 % new streams are refused, from 100 % no more credit is given; what was promised before may still arrive.
package final class MemoryBudget: Sendable {
    private let bound: Atomic<Int>
    private let used = Atomic<Int>(0)

    package init(limit: Int) { self.bound = Atomic(limit) }

    /// In bytes; a reload may change it.
    package var limit: Int { self.bound.load(ordering: .relaxed) }
    package func setLimit(_ limit: Int) { self.bound.store(limit, ordering: .relaxed) }

    /// Bytes held now.
    package var held: Int { self.used.load(ordering: .relaxed) }

    /// A session holds `change` bytes more than it said before.
    package func adjust(by change: Int) {
        if change != 0 { self.used.wrappingAdd(change, ordering: .relaxed) }
    }

    package var pressure: MemoryPressure {
        let (held, limit) = (self.held, self.limit)
        if held >= limit { return .exhausted }
        return held >= limit / 5 * 4 ? .busy : .none
    }
}
