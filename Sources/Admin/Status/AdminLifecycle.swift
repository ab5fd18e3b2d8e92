/// What can be done to the process itself, besides what its daemon does.
package protocol AdminLifecycle: Sendable {
    /// Puts a new program, or the same again, in this process's place without a connection lost. Returns when that is about to
    /// happen; throws, with nothing changed, when the new program would not start.
    func upgrade() async throws -> ActionResult
    /// Ends the process. Returns at once.
    ///
    /// - Parameter store: how many connections the service manager would keep for the next process; nil: the streams are drained.
    func stop(store: Int?) async throws -> ActionResult
    #if FAULTS
    /// Breaks something on purpose, for tests: `POST /v1/faults/NAME`.
    func suffer(_ fault: String) async throws -> ActionResult
    #endif
}

/// The body of `POST /v1/stop`.
package struct StopRequest: Codable, Sendable, Equatable {
    /// How many connections the service manager would keep.
    package var store: Int?

    package init(store: Int?) { self.store = store }
}
