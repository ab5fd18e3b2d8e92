/// FNV-1a over words instead of bytes: tells two traces apart. Two runs of one seed give the same value.
package struct Digest: Equatable, Sendable {
    package private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    package init() {}

    package mutating func add(_ word: UInt64) {
        // The upper half is folded down, or high bits would never reach the low ones.
        let mixed = (self.value ^ word) &* 0x100_0000_01b3
        self.value = mixed ^ mixed >> 32
    }

    mutating func add(_ word: Int) { self.add(UInt64(truncatingIfNeeded: word)) }
    mutating func add(_ word: Int64) { self.add(UInt64(truncatingIfNeeded: word)) }

    mutating func add(_ text: String) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        self.add(hash)
    }
}
