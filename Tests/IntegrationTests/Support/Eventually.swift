/// What a test waited for and did not get.
struct Unmet: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Asks again and again, until there is an answer; bounded, so that a test never hangs.
///
/// - Parameters:
///   - what: what is waited for, as the end of the sentence "expected …".
///   - limit: how long at most; generous, because a bound is no promise of the product.
///   - probe: nil means not yet. An error that it throws counts as not yet too, and is told when time is up.
@discardableResult
func eventually<Value: Sendable>(
    _ what: String, within limit: Duration = .seconds(10), every pause: Duration = .milliseconds(20),
    _ probe: @Sendable () async throws -> Value?
) async throws -> Value {
    let end = ContinuousClock.now + limit
    var trouble: (any Error)?
    repeat {
        do {
            if let value = try await probe() { return value }
            trouble = nil
        } catch {
            trouble = error
        }
        try await Task.sleep(for: pause)
    } while ContinuousClock.now < end
    throw Unmet("expected within \(limit): \(what)" + (trouble.map { "; last: \($0)" } ?? ""))
}

/// The same for a condition.
func eventually(
    _ what: String, within limit: Duration = .seconds(10), every pause: Duration = .milliseconds(20),
    isTrue condition: @Sendable () async throws -> Bool
) async throws {
    try await eventually(what, within: limit, every: pause) { try await condition() ? true : nil }
}
