import ChaosCore
import NIOCore

/// A harm, as a reader found it.
struct FoundHarm: Sendable, Equatable {
    var harm: Observation.Harm
    var count: Int
    var why: String
}

/// What came of an upload. Pure.
struct UploadCheck {
    let id: String
    private var reader: BlockReader
    private var blocks: UInt64 = 0
    private var bytes = 0
    private var announced: UInt64?
    private var harms: [FoundHarm] = []

    private static let mostHarms = 20

    init(id: String) {
        self.id = id
        self.reader = BlockReader(key: Block.key(of: id), next: 1)
    }

    mutating func read(_ bytes: ByteBuffer) {
        for finding in self.reader.read(bytes) {
            switch finding {
            case .block(_, let length, _):
                self.blocks += 1
                self.bytes += length
            case .end(let count): self.announced = count
            case .harm(let harm, let count, let why): self.add(FoundHarm(harm: harm, count: count, why: why))
            }
        }
    }

    private mutating func add(_ harm: FoundHarm) {
        if self.harms.count < Self.mostHarms { self.harms.append(harm) }
    }

    /// The answer's text, and what was wrong. To be asked when the request has ended in order.
    mutating func conclude() -> (text: String, harms: [FoundHarm]) {
        if case .harm(let harm, let count, let why)? = self.reader.lost {
            self.add(FoundHarm(harm: harm, count: count, why: why))
        }
        if let announced, announced >= self.reader.next {
            let missing = Int(clamping: (announced - self.reader.next).addingReportingOverflow(1).partialValue)
            self.add(FoundHarm(harm: .lost, count: missing, why: "the last \(missing) blocks of \(announced) are missing"))
        } else if announced == nil, !self.reader.isBroken {
            self.add(FoundHarm(harm: .lost, count: 1, why: "it ended in order, but without its last block"))
        }
        return (Self.text(blocks: self.blocks), self.harms)
    }

    /// What an apiserver answers to an upload of so many blocks.
    static func text(blocks: UInt64) -> String { "took \(blocks) blocks\n" }
}
