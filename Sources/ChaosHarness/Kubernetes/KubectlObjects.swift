import ChaosCore

/// What the traffic of kubectl reads: config maps whose content is known. Pure.
enum KubectlObjects {
    static let ticker = "gotunnel-chaos-ticker"
    static let label = "gotunnel-chaos"
    static let selector = "\(label)=block"
    /// How many blocks a list holds, and the letters of each.
    static let blocks = 64
    static let length = 16 << 10

    /// Makes the ticker and all blocks.
    static var manifest: String {
        let blocks = (0..<self.blocks).map { number in
            """
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: \(self.blockName(number)), labels: {\(self.label): block}}
            data: {block: \(self.block(number))}
            """
        }
        let ticker = """
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: \(self.ticker)}
            data: {number: "0", at: "0"}
            """
        return ([ticker] + blocks).joined(separator: "\n---\n") + "\n"
    }

    /// Of equal length, so that the order of names is that of numbers.
    static func blockName(_ number: Int) -> String { "gotunnel-chaos-block-\(100 + number)" }

    /// Letters that follow from the number alone.
    static func block(_ number: Int) -> String {
        var generator = SeededGenerator(seed: UInt64(number) &+ 0x9e37)
        return String(decoding: (0..<self.length).map { _ in 0x61 + UInt8(generator.next() % 26) }, as: UTF8.self)
    }

    /// What is wrong with a list; nil: it is complete and unchanged.
    static func trouble(inList output: [UInt8]) -> (harm: Observation.Harm, why: String)? {
        let lines = output.split(separator: 0x0a).map { String(decoding: $0, as: UTF8.self) }
        for (number, line) in lines.enumerated() {
            guard number < self.blocks else { return (.repeated, "\(lines.count) blocks instead of \(self.blocks)") }
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.first.map(String.init) == self.blockName(number) else {
                return (.lost, "another block than \(self.blockName(number)) in its place")
            }
            if parts.count < 2 || String(parts[1]) != self.block(number) {
                return (.corrupt, "\(self.blockName(number)) is changed")
            }
        }
        return lines.count < self.blocks ? (.lost, "\(lines.count) blocks instead of \(self.blocks)") : nil
    }
}

/// A state of the ticker: `TYPE NUMBER AT` in a watch, `NUMBER AT` in a get.
struct KubectlTick: Sendable, Equatable {
    var number: Int
    /// When it was written: seconds of CLOCK_MONOTONIC.
    var at: Double

    /// Nil: the line is none.
    init?(_ line: some StringProtocol) {
        let words = line.split(separator: " ")
        guard (2...3).contains(words.count), words.count == 2 || ["ADDED", "MODIFIED"].contains(words[0]),
            let number = Int(words[words.count - 2]), number >= 0, let at = Double(words[words.count - 1]), at.isFinite
        else { return nil }
        self.number = number
        self.at = at
    }
}

/// Follows the numbers of one application's watches. Within one watch each number follows the last. A new watch begins with
/// what is there, which may be ahead by any number but never behind. Pure.
struct KubectlSequence: Sendable {
    private var last: Int?
    private var isBeginning = true

    /// A watch has begun.
    mutating func begin() { self.isBeginning = true }

    /// - Returns: in which way the number came wrongly, and how many; nil: it did not.
    mutating func take(_ number: Int) -> (harm: Observation.Harm, count: Int)? {
        defer {
            self.last = max(number, self.last ?? 0)
            self.isBeginning = false
        }
        guard let last else { return nil }
        if self.isBeginning { return number < last ? (.reordered, last - number) : nil }
        if number == last + 1 { return nil }
        if number > last { return (.lost, number - last - 1) }
        return number == last ? (.repeated, 1) : (.reordered, last - number)
    }
}
