/// The counted pattern: every eight bytes are a function of the stream, the direction and their place.
///
/// A byte that is lost, doubled, moved, changed or taken from another stream is therefore seen where it happens.
/// The first byte of a word always has its highest bit set, which tells a word from the ASCII of the trailer.
struct PatternWords: Sendable {
    /// Which way the bytes go, seen from who opened the stream.
    enum Direction: UInt64, Sendable {
        case up = 0x75_70_75_70_75_70_75_70
        case down = 0x64_6F_77_6E_64_6F_77_6E
    }

    /// Bytes of one word.
    static let size = 8
    /// What follows the last word: this, and then the count of the pattern's bytes (64 bits, big-endian).
    static let trailerMark: [UInt8] = Array("the end\n".utf8)

    private let seed: UInt64

    /// - Parameter stream: the number that the stream introduced itself with.
    init(stream: UInt64, direction: Direction) {
        seed = Self.mix(stream ^ direction.rawValue)
    }

    /// The word at `index`, to be sent big-endian.
    func word(_ index: UInt64) -> UInt64 {
        Self.mix(seed &+ (index &+ 1) &* 0x9E37_79B9_7F4A_7C15) | 1 << 63
    }

    /// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
