import NIOCore

/// What follows a wrong byte is gathered for a while, to tell what was done to the pattern.
struct PatternExamination {
    let fault: PatternFault
    private let words: PatternWords
    private var bytes: [UInt8]

    /// - Parameters:
    ///   - arrived: the piece in which the fault was found, whole.
    ///   - reader: as it was before that piece.
    init(of fault: PatternFault, in arrived: ByteBuffer, by reader: PatternReader) {
        self.fault = fault
        self.words = reader.words
        let all = reader.pending + Array(arrived.readableBytesView)
        self.bytes = Array(all.dropFirst(Int(clamping: fault.offset - min(reader.count, fault.offset))))
    }

    /// Whether more bytes would tell nothing.
    var isComplete: Bool {
        switch fault.kind {
        case .count, .excess: true
        case .byte, .trailer: bytes.count >= PatternHarm.window
        }
    }

    mutating func add(_ more: ByteBuffer) {
        bytes += more.readableBytesView.prefix(PatternHarm.window - min(bytes.count, PatternHarm.window))
    }

    var harm: PatternHarm {
        switch fault.kind {
        case .count(let announced) where announced > fault.offset: .lost(announced - fault.offset)
        case .count(let announced): .doubled(fault.offset - announced)
        case .excess: .unknown
        case .byte, .trailer: PatternHarm.find(in: bytes, at: fault.offset, of: words)
        }
    }
}
