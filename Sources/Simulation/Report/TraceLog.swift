/// The readable lines of what happened in a world: the last ones are kept, all are handed on.
package struct TraceLog: Sendable {
    private let sink: (@Sendable (String) -> Void)?
    private var ring: [String] = []
    private var next = 0
    private static let kept = 4_000

    init(sink: (@Sendable (String) -> Void)?) { self.sink = sink }

    mutating func add(_ text: String, at time: Int64) {
        let millis = time / 1_000_000
        let micros = String(time / 1_000 % 1_000)
        let line =
            "\(millis / 1_000).\(Self.padded(millis % 1_000)).\(String(repeating: "0", count: 3 - micros.count))\(micros) \(text)"
        self.sink?(line)
        if self.ring.count < Self.kept {
            self.ring.append(line)
        } else {
            self.ring[self.next] = line
            self.next = (self.next + 1) % Self.kept
        }
    }

    /// Oldest first: seconds, milliseconds, microseconds, then what happened.
    package var lines: [String] { Array(self.ring[self.next...] + self.ring[..<self.next]) }

    private static func padded(_ number: Int64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: 3 - digits.count) + digits
    }
}
