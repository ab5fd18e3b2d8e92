import TunnelWire

/// Keeps second dials below one in twenty, so that a backend that is slow is not made slower (Dean and Barroso, "The
/// Tail at Scale", 2013): every stream opened earns a twentieth of a hedge, and what is earned is not hoarded.
struct DialHedgeBudget: Sendable {
    private var earned: [Destination: Int] = [:]

    /// In twentieths.
    private static let price = 20
    private static let most = 5 * Self.price

    mutating func opened(_ destination: Destination) {
        self.earned[destination] = min((self.earned[destination] ?? 0) + 1, Self.most)
    }

    /// True when a hedge is affordable; it is paid for then.
    mutating func take(_ destination: Destination) -> Bool {
        guard let earned = self.earned[destination], earned >= Self.price else { return false }
        self.earned[destination] = earned - Self.price
        return true
    }
}
