import NIOCore

/// How long to wait before something is tried again: at once, then 50 ms, doubling to 1 s.
struct Backoff: Sendable {
    private static let first = TimeAmount.milliseconds(50)
    private static let longest = TimeAmount.seconds(1)
    private var coming = TimeAmount.zero

    mutating func next() -> TimeAmount {
        defer { self.coming = self.coming == .zero ? Self.first : min(self.coming + self.coming, Self.longest) }
        return self.coming
    }

    mutating func reset() { self.coming = .zero }
}
