import ChaosCore

/// A fault that knows whom it meets.
package struct ResolvedFault: Sendable, Equatable {
    /// Its place in the schedule, from 0; no two faults of a run share it.
    package var number: Int
    package var action: FaultAction
    package var victims: [String]
    /// The other side, of what happens between two.
    package var others: [String]
    /// Until it is undone; nil: it has no such end.
    package var lasts: Duration?

    package init(number: Int, action: FaultAction, victims: [String], others: [String] = [], lasts: Duration? = nil) {
        self.number = number
        self.action = action
        self.victims = victims
        self.others = others
        self.lasts = lasts
    }

    /// In a few words: `stop controller-2 for 3s`, `cut controller-1 from controller-2, controller-3 for 2s`.
    package var text: String {
        let far = self.others.isEmpty ? "" : " from \(self.others.joined(separator: ", "))"
        let length = self.lasts.map { " for \($0.shown)" } ?? ""
        return "\(self.action.name) \(self.victims.joined(separator: ", "))\(far)\(length)"
    }
}

/// What makes faults: with processes of a stage of one's own, or with a running cluster. Each fault is begun and ended by itself.
package protocol FaultExecutor: Sendable {
    /// Returns when the fault is there. What was done of it before an error is undone.
    ///
    /// - Throws: `StageError`, which says what cannot be done and why.
    func begin(_ fault: ResolvedFault) async throws

    /// Undoes a fault, and returns when whom it met is back; nothing happens for one that is not at work.
    ///
    /// - Throws: what says in one line that it could not be undone, or that a victim does not come back.
    func end(_ fault: ResolvedFault) async throws

    /// Undoes at once whatever is at work, without waiting for anybody to be back; also in a task that is cancelled.
    ///
    /// - Returns: what could not be undone, a line each.
    func endAll() async -> [String]
}

extension Duration {
    /// `2s`, `1.5s`, `300ms`.
    var shown: String {
        let (seconds, attoseconds) = self.components
        let milliseconds = seconds * 1_000 + attoseconds / 1_000_000_000_000_000
        if milliseconds < 1_000 { return "\(milliseconds)ms" }
        if milliseconds % 1_000 == 0 { return "\(milliseconds / 1_000)s" }
        return "\(Double(milliseconds) / 1_000)s"
    }
}
