extension RandomNumberGenerator {
    /// `count` random bytes; the same ones for the same generator state on every machine.
    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}
