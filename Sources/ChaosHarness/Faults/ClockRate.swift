/// Programs whose clocks run at another rate.
package struct ClockRate: Sendable {
    /// What is added to a program's environment.
    package let environment: [String: String]

    package init(_ rate: Double) throws {
        throw StageError("no library that changes the rate of clocks is known to work here", isOfMachine: true)
    }
}
