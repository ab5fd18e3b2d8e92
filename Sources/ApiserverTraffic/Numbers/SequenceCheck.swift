/// Tells from numbers alone whether something was lost, repeated or reordered. Pure.
package struct SequenceCheck: Sendable {
    package enum Finding: Sendable, Equatable {
        case fine
        /// This many before it are missing; they may come yet.
        case ahead(Int)
        case repeated
        /// It was missing, and came after a later one.
        case late
    }

    /// So many missing numbers are remembered, in case they come yet; more are lost.
    private static let mostMissing = 256

    /// The number that is to come.
    package private(set) var next: UInt64
    private var missing: Set<UInt64> = []
    private var forgotten = 0

    package init(next: UInt64) { self.next = next }

    package mutating func meet(_ number: UInt64) -> Finding {
        if number == self.next {
            self.next &+= 1
            return .fine
        }
        guard number > self.next else { return self.missing.remove(number) == nil ? .repeated : .late }
        let gap = number - self.next
        let room = UInt64(Self.mostMissing - self.missing.count)
        for absent in self.next..<(self.next + min(gap, room)) { self.missing.insert(absent) }
        if gap > room { self.forgotten = Self.sum(self.forgotten, Int(clamping: gap - room)) }
        self.next = number == .max ? .max : number + 1
        return .ahead(Int(clamping: gap))
    }

    /// How many never came, of those before `next`.
    package var lost: Int { Self.sum(self.missing.count, self.forgotten) }

    /// The numbers come from outside: anything may be in them.
    private static func sum(_ one: Int, _ other: Int) -> Int {
        let (sum, isTooMuch) = one.addingReportingOverflow(other)
        return isTooMuch ? .max : sum
    }
}
