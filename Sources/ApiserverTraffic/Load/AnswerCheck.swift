import NIOCore

/// Whether an answer is whole and right. Pure; keeps nothing of its bytes.
struct AnswerCheck {
    private static let mostHarms = 20
    private static let longestText = 200

    private enum Expected {
        case blocks(UInt64)
        case text(String)
        case anything
    }

    private let expected: Expected
    private var reader: BlockReader?
    private var text = ""
    private var status = 0
    private(set) var harms: [FoundHarm] = []

    init(_ path: ApiPath, upload: UInt64) {
        switch path {
        case .echo(let id):
            self.expected = .blocks(1)
            self.reader = BlockReader(key: Block.key(of: id), next: 1)
        case .list(let id, let blocks):
            self.expected = .blocks(blocks)
            self.reader = BlockReader(key: Block.key(of: id), next: 1)
        case .upload: self.expected = .text(UploadCheck.text(blocks: upload))
        case .ready, .watch: self.expected = .anything
        }
    }

    mutating func begin(status: Int) { self.status = status }

    mutating func read(_ bytes: ByteBuffer) {
        guard self.status == 200, self.reader != nil else {
            let room = Self.longestText - self.text.utf8.count
            if room > 0 { self.text += String(decoding: bytes.readableBytesView.prefix(room), as: UTF8.self) }
            return
        }
        for case .harm(let harm, let count, let why) in self.reader?.read(bytes) ?? [] {
            if self.harms.count < Self.mostHarms { self.harms.append(FoundHarm(harm: harm, count: count, why: why)) }
        }
    }

    /// Nil: it was right. To be asked when the answer has ended in order.
    mutating func conclude() -> String? {
        guard self.status == 200 else { return "answered with status \(self.status): \(Self.printable(self.text))" }
        switch self.expected {
        case .anything: return nil
        case .text(let text): return text == self.text ? nil : "answered \(Self.printable(self.text))"
        case .blocks(let count):
            if case .harm(let harm, let count, let why)? = self.reader?.lost {
                self.harms.append(FoundHarm(harm: harm, count: count, why: why))
            }
            if let next = self.reader?.next, next <= count {
                let missing = Int(clamping: count + 1 - next)
                self.harms.append(
                    FoundHarm(
                        harm: .lost, count: missing, why: "the last \(missing) of \(count) blocks, though it ended in order"))
            } else if let next = self.reader?.next, next > count + 1 || self.reader?.hasPart == true {
                self.harms.append(FoundHarm(harm: .repeated, count: 1, why: "more came than was asked for"))
            }
            return self.harms.first.map { "\($0.harm.rawValue): \($0.why)" }
        }
    }

    private static func printable(_ text: String) -> String {
        "\"" + String(text.unicodeScalars.filter { $0.isASCII && $0.value >= 32 }.map(Character.init)) + "\""
    }
}
