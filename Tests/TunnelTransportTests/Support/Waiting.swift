import Foundation
import NIOConcurrencyHelpers
import NIOCore

/// A wait came to its bound. Tests never wait without one.
struct Overdue: Error, CustomStringConvertible {
    let description: String
}

/// Waits until `condition` holds, looking every few milliseconds.
///
/// - Parameter what: completes "still waiting until …".
func eventually(
    _ what: String, within bound: Duration = .seconds(30), _ condition: @Sendable () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + bound
    while try await !condition() {
        guard ContinuousClock.now < end else { throw Overdue(description: "after \(bound) still waiting until \(what)") }
        try await Task.sleep(for: .milliseconds(3))
    }
}

/// Waits until `value` gives one.
func eventually<Value: Sendable>(
    _ what: String, within bound: Duration = .seconds(30), value: @Sendable () async throws -> Value?
) async throws -> Value {
    let end = ContinuousClock.now + bound
    while true {
        if let value = try await value() { return value }
        guard ContinuousClock.now < end else { throw Overdue(description: "after \(bound) still waiting until \(what)") }
        try await Task.sleep(for: .milliseconds(3))
    }
}

/// Runs code that blocks on a thread of its own, so that it holds up no task. Its sockets bound how long it takes.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: Result { try body() }) }
        thread.stackSize = 512 << 10
        thread.start()
    }
}

/// Something that several threads add to and a test looks at.
final class Log<Entry: Sendable>: Sendable {
    private let content = NIOLockedValueBox<[Entry]>([])

    func add(_ entry: Entry) { self.content.withLockedValue { $0.append(entry) } }
    var entries: [Entry] { self.content.withLockedValue { $0 } }
    var count: Int { self.content.withLockedValue { $0.count } }
    func clear() { self.content.withLockedValue { $0 = [] } }
}

extension EventLoop {
    /// Runs `body` on the loop.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await self.submit(body).get()
    }
}

/// A generator whose numbers a seed determines (SplitMix64), so that a failing test fails again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    /// Another one each time. The system's own generator has no size, and Thread Sanitizer trips over its address in tasks.
    init() { self.init(seed: .random(in: 0 ... .max)) }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
}

/// A directory of a test's own, removed when the test lets go of it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        self.path = "\(FileManager.default.temporaryDirectory.path)/transport-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }
}
