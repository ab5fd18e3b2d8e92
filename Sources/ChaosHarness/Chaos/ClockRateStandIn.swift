/// Clocks that run at another rate.
struct ClockRate {
    var environment: [String: String] { [:] }

    init(_ rate: Double) throws { throw StageError("this machine cannot run clocks at another rate", isOfMachine: true) }
}
