import Foundation
import Synchronization
import Testing

extension Integration.LoadTests {
    /// A reader that never reads holds up nobody else, and costs no more than its window.
    @Test("a stalled stream does not hold up the others", .timeLimit(.minutes(5)))
    func stalledReaderIsIsolated() async throws {
        let volume = isLongRun ? 1_024 << 20 : 192 << 20
        let (bulk, stalled) = (try PlainSocket.listen(), try PlainSocket.listen())
        defer { for socket in [bulk, stalled] { socket.close() } }
        let echo = try PlainSocket.listen()
        let answering = Task { try await EchoThread.run(echo) }
        let setup = TunnelSetup(services: ["bulk": bulk.port, "stalled": stalled.port, "echo": echo.port])
        try await TunnelPair.with(setup) { pair in
            let alone = try await self.bulk(pair, bulk, count: volume)

            let stuck = try await PlainSocket.pair(port: pair.forward("stalled"), listener: stalled, farBuffer: 16_384)
            defer { for socket in [stuck.near, stuck.far] { socket.close() } }
            let pushed = try await onThread { try stuck.near.writeUntilFull(limit: 256 << 20) }
            #expect(pushed < 64 << 20, "the stalled stream took \(pushed) bytes")

            let watch = MemoryWatch(pair: pair)
            async let peaks = watch.run()
            let beside = try await self.bulk(pair, bulk, count: volume)

            let pings = PingPong(port: try pair.forward("echo"))
            let quiet = try await pings.run(rounds: 2_000)
            async let paced = self.bulk(pair, bulk, count: volume / 2, bytesPerSecond: alone / 2)
            // The control: the same at the same time, straight to the backend. What it suffers is the machine's doing.
            async let straight = PingPong(port: echo.port).run(rounds: isLongRun ? 5_000 : 1_000)
            let busy = try await pings.run(rounds: isLongRun ? 5_000 : 1_000)
            let control = try await straight
            let half = try await paced
            watch.stop()
            let peak = try await peaks
            peak.expectWithinBudget()
            figure(
                "isolation: bulk alone \(Self.rate(alone)), "
                    + "beside a stalled stream \(Self.rate(beside)) (\(pushed >> 10) KiB stuck); "
                    + "ping-pong without load \(quiet), beside bulk held to \(Self.rate(half)) \(busy), "
                    + "straight to the backend at the same time \(control); \(peak)")
            // The stuck stream is alive, not forgotten: what it holds arrives once somebody reads.
            stuck.near.finishWriting()
            let arrived = try await onThread { try Bulk.receive(stuck.far).bytes }
            #expect(arrived == pushed)
        }
        echo.interrupt()
        _ = try? await answering.value
        echo.close()
    }

    /// Sends through the forward and checks what arrives; returns bytes per second.
    private func bulk(
        _ pair: TunnelPair, _ listener: PlainSocket, count: Int, bytesPerSecond: Double? = nil
    ) async throws -> Double {
        let stream = try await PlainSocket.pair(port: pair.forward("bulk"), listener: listener)
        defer { for socket in [stream.near, stream.far] { socket.close() } }
        let start = ContinuousClock.now
        async let sent = onThread { try Bulk.send(stream.near, count: count, seed: 3, bytesPerSecond: bytesPerSecond) }
        let received = try await onThread { try Bulk.receive(stream.far) }
        #expect(try await sent == received)
        return Double(count) / (ContinuousClock.now - start).seconds
    }

    private static func rate(_ bytesPerSecond: Double) -> String { "\(Int(bytesPerSecond) >> 20) MiB/s" }
}

/// One byte there and back, again and again.
struct PingPong: Sendable {
    struct Result: Sendable, CustomStringConvertible {
        var rounds: Int
        var median: Duration
        var p99: Duration
        var longest: Duration

        var description: String {
            let times = [self.median, self.p99, self.longest].map { "\(Int($0.seconds * 1_000_000)) µs" }
            return "p50 \(times[0]), p99 \(times[1]), longest \(times[2]) of \(self.rounds)"
        }
    }

    let port: Int

    func run(rounds: Int) async throws -> Result {
        let port = self.port
        return try await onThread {
            let socket = try PlainSocket.connect(port: port)
            defer { socket.close() }
            var times: [Duration] = []
            for round in 0..<rounds {
                let byte = UInt8(truncatingIfNeeded: round)
                let start = ContinuousClock.now
                try socket.write([byte])
                let answer = try socket.read(exactly: 1)
                times.append(ContinuousClock.now - start)
                guard answer == [byte] else { throw SocketFailure("round \(round): \(answer) instead of [\(byte)]", 0) }
            }
            times.sort()
            return Result(rounds: rounds, median: times[rounds / 2], p99: times[rounds * 99 / 100], longest: times[rounds - 1])
        }
    }
}

/// An echo server of blocking threads, as quick as a test can answer.
enum EchoThread {
    /// Serves until the listener is interrupted.
    static func run(_ listener: PlainSocket) async throws {
        listener.setTimeouts(seconds: 0)
        try await onThread {
            while let connection = try? listener.accept() {
                Thread.detachNewThread {
                    var buffer = [UInt8](repeating: 0, count: 16_384)
                    while case .bytes(let count)? = try? buffer.withUnsafeMutableBytes({ try connection.read(into: $0) }) {
                        guard (try? connection.write(Array(buffer[..<count]))) != nil else { break }
                    }
                    connection.close()
                }
            }
        }
    }
}

extension PlainSocket {
    /// Writes zeros until the socket has taken nothing for 300 ms; returns how many it took.
    func writeUntilFull(limit: Int) throws -> Int {
        var taken = 0
        var idle = 0
        while idle < 30, taken < limit {
            let more = try self.writeWithoutWaiting(limit: 1 << 20)
            taken += more
            idle = more == 0 ? idle + 1 : 0
            if more == 0 { Thread.sleep(forTimeInterval: 0.01) }
        }
        return taken
    }

    /// Writes zeros as long as the socket takes them at once, `limit` at most; returns how many it took.
    func writeWithoutWaiting(limit: Int) throws -> Int {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        var taken = 0
        while taken < limit {
            let count = Self.zeros.withUnsafeBytes { send(self.descriptor, $0.baseAddress, $0.count, flags) }
            if count > 0 {
                taken += count
            } else if errno == EAGAIN {
                break
            } else if errno != EINTR {
                throw SocketFailure("write", errno)
            }
        }
        return taken
    }

    private static let zeros = [UInt8](repeating: 0, count: 65_536)
}
