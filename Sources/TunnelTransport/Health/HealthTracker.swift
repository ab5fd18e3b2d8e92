/// Turns the results of single checks into a verdict that does not flap: down after several failures in a row, up after
/// one success. Nothing is known to be down before it was checked.
package struct HealthTracker: Sendable, Equatable {
    /// Failures in a row after which the target counts as down; at least 1.
    private let unhealthyAfter: Int
    private var failures = 0
    package private(set) var isHealthy = true
    /// Why the last check failed, printable; nil after a success.
    package private(set) var reason: String?

    package init(unhealthyAfter: Int) { self.unhealthyAfter = max(1, unhealthyAfter) }

    /// Takes the result of a check, nil for success. True when the verdict changed.
    package mutating func record(failure reason: String?) -> Bool {
        let before = self.isHealthy
        self.reason = reason
        self.failures = reason == nil ? 0 : self.failures + 1
        self.isHealthy = self.failures < self.unhealthyAfter && (before || reason == nil)
        return self.isHealthy != before
    }
}
