/// What a command came to.
package struct CommandOutcome: Sendable, Equatable {
    /// What it printed.
    package var output: [UInt8]
    /// Why it failed, in one line; nil: it did not.
    package var failure: String?

    package init(output: [UInt8] = [], failure: String? = nil) {
        self.output = output
        self.failure = failure
    }
}

/// Runs commands of this machine.
package protocol CommandCaller: Sendable {
    /// Runs a command to its end; one that does not end in time is killed, as is one whose task is cancelled.
    func call(_ words: [String], within limit: Duration) async -> CommandOutcome
}
