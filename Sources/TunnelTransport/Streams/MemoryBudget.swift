import Synchronization
import TunnelSession

/// The memory that all sessions of the process together may hold for bytes under way.
///
/// From 80 % new streams are refused, from 100 % no more credit is given; what was promised before may still arrive.
package final class MemoryBudget: Sendable {
    /// In bytes.
    package let limit: Int
    private let used = Atomic<Int>(0)

    package init(limit: Int) { self.limit = limit }

    /// Bytes held now.
    package var held: Int { self.used.load(ordering: .relaxed) }

    /// A session holds `change` bytes more than it said before.
    package func adjust(by change: Int) {
        if change != 0 { self.used.wrappingAdd(change, ordering: .relaxed) }
    }

    package var pressure: MemoryPressure {
        let held = self.held
        if held >= self.limit { return .exhausted }
        return held >= self.limit / 5 * 4 ? .busy : .none
    }
}
