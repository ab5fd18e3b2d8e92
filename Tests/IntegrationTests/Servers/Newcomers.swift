import Synchronization
import Testing

/// Begins a connection every 20 ms. Each is told by the backend that it reaches which one that is, and has a byte returned.
final class Newcomers: Sendable {
    /// What became of one of them.
    struct Arrival: Sendable {
        /// In the order in which they began, from 0.
        let place: Int
        /// The backend's number; nil when the connection failed.
        let number: Int?
        let failure: String
    }

    /// What became of all.
    struct Arrivals: Sendable {
        let all: [Arrival]
        fileprivate let mark: Int

        /// Those that began after `mark()`.
        var afterMark: ArraySlice<Arrival> { self.all[min(self.mark, self.all.count)...] }
    }

    private struct State {
        var begun = 0
        var mark = 0
        var isEnding = false
    }

    private let port: Int
    private let state = Mutex(State())

    private init(port: Int) { self.port = port }

    /// Lets connections to a port of 127.0.0.1 begin while `body` runs; then waits for the last of them.
    static func during(
        port: Int, isolation: isolated (any Actor)? = #isolation, _ body: (Newcomers) async throws -> Void
    ) async throws -> Arrivals {
        let newcomers = Newcomers(port: port)
        let running = Task { await newcomers.run() }
        do {
            try await body(newcomers)
        } catch {
            newcomers.end()
            _ = await running.value
            throw error
        }
        newcomers.end()
        let all = await running.value
        return Arrivals(all: all.sorted { $0.place < $1.place }, mark: newcomers.state.withLock { $0.mark })
    }

    /// From now on none may fail.
    func mark() { self.state.withLock { $0.mark = $0.begun } }

    /// Waits until so many more have begun.
    func more(_ count: Int) async throws {
        let before = self.state.withLock { $0.begun }
        try await eventually("\(count) more connections to begin", within: .seconds(60)) {
            self.state.withLock { $0.begun } >= before + count
        }
    }

    private func end() { self.state.withLock { $0.isEnding = true } }

    private func run() async -> [Arrival] {
        await withTaskGroup(of: Arrival.self) { group in
            while let place = self.next() {
                group.addTask { await self.visit(place) }
                try? await Task.sleep(for: .milliseconds(20))
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func next() -> Int? {
        self.state.withLock { state in
            if state.isEnding { return nil }
            defer { state.begun += 1 }
            return state.begun
        }
    }

    private func visit(_ place: Int) async -> Arrival {
        do {
            let answer = try await TestConnection.connect(port: self.port).use { connection in
                try await connection.write("?")
                return try await connection.readText(2, within: .seconds(20))
            }
            guard answer.hasSuffix("?"), let number = answer.first?.wholeNumberValue else {
                return Arrival(place: place, number: nil, failure: "expected a number and ?, got \"\(answer)\"")
            }
            return Arrival(place: place, number: number, failure: "")
        } catch {
            return Arrival(place: place, number: nil, failure: "\(error)")
        }
    }
}

extension Collection<Newcomers.Arrival> {
    var failed: [Newcomers.Arrival] { self.filter { $0.number == nil } }

    /// Expects that there were at least `least` and that every one was served.
    func expectAllServed(least: Int = 20, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(self.count >= least, "expected more connections to have begun", sourceLocation: sourceLocation)
        let failed = self.failed
        let some = failed.prefix(3).map { "\($0.place): \($0.failure)" }.joined(separator: "; ")
        #expect(failed.isEmpty, "\(failed.count) of \(self.count) failed, such as \(some)", sourceLocation: sourceLocation)
    }

    /// The numbers of the backends that served them.
    var numbers: Set<Int> { Set(self.compactMap(\.number)) }
}
