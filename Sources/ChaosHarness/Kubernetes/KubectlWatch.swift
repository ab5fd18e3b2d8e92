import Admin
import ChaosCore
import Foundation

/// A watch of the ticker that is begun again whenever it ends.
struct KubectlWatch: Sendable {
    /// No two watches share it.
    let name: String
    let host: StageHost
    let command: [String]
    let folder: String
    let note: @Sendable (KubectlNote) -> Void

    /// How often the output is looked at: no time is better known than this.
    private static let look = Duration.milliseconds(20)
    private static let pause = Duration.milliseconds(500)

    /// Goes on until the task is cancelled.
    func run() async {
        var sequence = KubectlSequence()
        while !Task.isCancelled {
            await self.once(&sequence)
            try? await Task.sleep(for: Self.pause)
        }
    }

    private func once(_ sequence: inout KubectlSequence) async {
        let file = "\(self.folder)/\(self.name).out"
        try? FileManager.default.removeItem(atPath: file)
        let began = Self.now()
        let process: StagedProcess
        do { process = try StagedProcess.start(self.command, name: self.name, log: file, in: self.host) } catch {
            return self.note(KubectlNote(t: began, what: .failed, took: 0, why: "watch: \(error)"))
        }
        defer { process.signal(SIGKILL) }
        sequence.begin()
        var lines = GrowingLines(file)
        var hasOpened = false
        var complaint: String?
        while !Task.isCancelled {
            // Looked at before the output: what was written before the end is read after it.
            let isRunning = process.isRunning
            for line in lines.new() {
                guard let tick = KubectlTick(line) else {
                    // The last line says what it came to.
                    complaint = SafeText.line(line)
                    continue
                }
                self.take(tick, &sequence, hasOpened ? nil : began)
                hasOpened = true
            }
            if !isRunning {
                let why = "watch: \(complaint ?? process.endText ?? "ended")"
                return self.note(
                    KubectlNote(t: Self.now(), what: hasOpened ? .ended : .failed, took: Self.now() - began, why: why))
            }
            try? await Task.sleep(for: Self.look)
        }
    }

    /// - Parameter began: of a watch whose first event this is.
    private func take(_ tick: KubectlTick, _ sequence: inout KubectlSequence, _ began: Double?) {
        let now = Self.now()
        if let wrong = sequence.take(tick.number) {
            self.note(KubectlNote(t: now, what: .harm, why: "watch: number \(tick.number)", harm: wrong.harm, count: wrong.count))
        }
        if let began {
            // What is there when a watch begins may be old; only changes can be late.
            self.note(KubectlNote(t: began, what: .opened, took: now - began))
        } else {
            self.note(KubectlNote(t: now, what: .flow, took: max(0, now - tick.at), count: 1))
        }
    }

    private static func now() -> Double { TrafficClock.now() / 1_000 }
}

/// The lines of a file that somebody else appends to.
struct GrowingLines {
    private let path: String
    private var offset: UInt64 = 0
    private var rest: [UInt8] = []

    /// A longer line is cut.
    private static let longest = 64 << 10

    init(_ path: String) { self.path = path }

    /// Those that have been completed since the last call.
    mutating func new() -> [String] {
        guard let file = FileHandle(forReadingAtPath: self.path) else { return [] }
        defer { try? file.close() }
        guard (try? file.seek(toOffset: self.offset)) != nil, let data = try? file.read(upToCount: 1 << 20), !data.isEmpty else {
            return []
        }
        self.offset += UInt64(data.count)
        var pieces = (self.rest + data).split(separator: 0x0a, omittingEmptySubsequences: false)
        self.rest = Array(pieces.removeLast().prefix(Self.longest))
        return pieces.map { String(decoding: $0.prefix(Self.longest), as: UTF8.self) }
    }
}
