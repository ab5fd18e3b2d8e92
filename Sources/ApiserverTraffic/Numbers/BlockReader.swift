import ChaosCore
import NIOCore

/// Reads blocks as they arrive and says what is wrong with them. Pure; holds at most one block.
package struct BlockReader {
    package enum Finding: Sendable, Equatable {
        /// A right one; `isNew` is false for one that had come before.
        case block(number: UInt64, length: Int, isNew: Bool)
        /// The other end says that it has sent so many blocks, and no more come.
        case end(count: UInt64)
        case harm(Observation.Harm, count: Int, why: String)
    }

    private let key: UInt64
    private var sequence: SequenceCheck
    private var buffer = ByteBuffer()
    /// Where a block begins is no longer known; what follows says nothing.
    package private(set) var isBroken = false

    /// - Parameter next: the number of the first block.
    package init(key: UInt64, next: UInt64) {
        self.key = key
        self.sequence = SequenceCheck(next: next)
    }

    /// The number that is to come.
    package var next: UInt64 { self.sequence.next }

    package mutating func read(_ bytes: ByteBuffer) -> [Finding] {
        guard !self.isBroken else { return [] }
        var bytes = bytes
        self.buffer.writeBuffer(&bytes)
        var findings: [Finding] = []
        while !self.isBroken, let block = self.header(&findings) {
            guard self.buffer.readableBytes >= Block.headerLength + block.length else { break }
            self.buffer.moveReaderIndex(forwardBy: Block.headerLength)
            guard let payload = self.buffer.readSlice(length: block.length) else { break }
            self.take(block, payload, &findings)
        }
        if self.buffer.readableBytes == 0 { self.buffer.clear() } else { self.buffer.discardReadBytes() }
        return findings
    }

    /// The block that begins here, if its header has come.
    private mutating func header(_ findings: inout [Finding]) -> Block? {
        let at = self.buffer.readerIndex
        guard let magic = self.buffer.getInteger(at: at, as: UInt32.self),
            let length = self.buffer.getInteger(at: at + 4, as: UInt32.self),
            let key = self.buffer.getInteger(at: at + 8, as: UInt64.self),
            let number = self.buffer.getInteger(at: at + 16, as: UInt64.self)
        else { return nil }
        guard magic == Block.magic, length <= Block.largest else {
            self.breakOff("no block begins where one should", &findings)
            return nil
        }
        guard key == self.key else {
            self.breakOff("a block of another stream", &findings)
            return nil
        }
        return Block(key: key, number: number, length: Int(length))
    }

    private mutating func breakOff(_ why: String, _ findings: inout [Finding]) {
        self.isBroken = true
        self.buffer.clear()
        findings.append(.harm(.corrupt, count: 1, why: "\(why), after number \(self.sequence.next)"))
    }

    private mutating func take(_ block: Block, _ payload: ByteBuffer, _ findings: inout [Finding]) {
        if block.length == 0 { return findings.append(.end(count: block.number)) }
        guard block.matches(payload) else {
            return findings.append(.harm(.corrupt, count: 1, why: "the bytes of number \(block.number) are others"))
        }
        switch self.sequence.meet(block.number) {
        case .fine, .ahead: findings.append(.block(number: block.number, length: block.length, isNew: true))
        case .late:
            findings.append(.harm(.reordered, count: 1, why: "number \(block.number) came after later ones"))
            findings.append(.block(number: block.number, length: block.length, isNew: true))
        case .repeated:
            findings.append(.harm(.repeated, count: 1, why: "number \(block.number) came again"))
            findings.append(.block(number: block.number, length: block.length, isNew: false))
        }
    }

    /// To be asked at the end: what never came although later ones did.
    package var lost: Finding? {
        self.sequence.lost == 0
            ? nil : .harm(.lost, count: self.sequence.lost, why: "missing before number \(self.sequence.next)")
    }

    /// Whether it ended within a block.
    package var hasPart: Bool { self.buffer.readableBytes > 0 }
}
