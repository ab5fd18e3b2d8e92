import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A connection to a `NamedBackend` that carries a counted pattern there and back all the time: a byte that is lost, doubled
/// or moved is found, in either direction.
final class CountedStream: Sendable {
    enum Fate: Equatable, Sendable {
        /// Everything that was sent came back, and then the end.
        case whole
        /// It was reset; what had come back until then was right.
        case reset
    }

    /// The number of the backend.
    let number: Int
    private let socket: PlainSocket
    private let traffic: CountedTraffic
    private let sender: Task<Int, any Error>
    private let receiver: Task<Fate, any Error>

    private init(number: Int, socket: PlainSocket) {
        let traffic = CountedTraffic()
        self.number = number
        self.socket = socket
        self.traffic = traffic
        self.sender = Task { try await onThread { try traffic.send(socket) } }
        self.receiver = Task { try await onThread { try traffic.receive(socket) } }
    }

    /// Connects to a port of 127.0.0.1 and begins.
    static func open(port: Int) async throws -> CountedStream {
        let (socket, greeting) = try await onThread {
            let socket = try PlainSocket.connect(port: port)
            return (socket, try socket.read(exactly: 1))
        }
        guard let digit = greeting.first.map({ Character(UnicodeScalar($0)) }), let number = digit.wholeNumberValue else {
            throw Unmet("expected the backend to say its number, got \(greeting)")
        }
        return CountedStream(number: number, socket: socket)
    }

    /// Several of them.
    static func open(_ count: Int, port: Int) async throws -> [CountedStream] {
        var streams: [CountedStream] = []
        for _ in 0..<count { streams.append(try await self.open(port: port)) }
        return streams
    }

    /// Waits until bytes that are sent from now on have come back.
    func goesOn() async throws {
        let traffic = self.traffic
        let wanted = traffic.sent.load(ordering: .relaxed) + CountedTraffic.block
        try await eventually("the stream to go on", within: .seconds(30)) {
            traffic.isOver.load(ordering: .relaxed) || traffic.received.load(ordering: .relaxed) >= wanted
        }
        let received = traffic.received.load(ordering: .relaxed)
        guard received >= wanted else { throw Unmet("expected the stream to go on, but it was over after \(received) bytes") }
    }

    /// Waits until the stream was cut; throws if it carried something wrong before that.
    func whenReset() async throws {
        let traffic = self.traffic
        try await eventually("the stream to be reset", within: .seconds(30)) { traffic.isOver.load(ordering: .relaxed) }
        _ = try await self.receiver.value
    }

    /// Sends no more and waits for the end. Throws when a byte was lost, doubled or changed.
    func finish() async throws -> Fate {
        self.traffic.isEnding.store(true, ordering: .relaxed)
        let fate = try await self.receiver.value
        // What it has sent counts only when it was not interrupted.
        let sent = fate == .whole ? try await self.sender.value : (try? await self.sender.value) ?? 0
        self.socket.close()
        let received = self.traffic.received.load(ordering: .relaxed)
        if fate == .whole, sent != received { throw Unmet("expected \(sent) bytes back, got \(received)") }
        return fate
    }
}

extension Collection<CountedStream> {
    /// The fates of all, each waited for.
    func finish() async throws -> [CountedStream.Fate] {
        var fates: [CountedStream.Fate] = []
        for stream in self { fates.append(try await stream.finish()) }
        return fates
    }

    func goOn() async throws { for stream in self { try await stream.goesOn() } }
}

/// What the two threads of a stream share.
private final class CountedTraffic: Sendable {
    static let block = 2_048

    let sent = Atomic<Int>(0)
    let received = Atomic<Int>(0)
    let isEnding = Atomic<Bool>(false)
    /// The sender has ended with FIN, not because it was cut.
    let hasFinished = Atomic<Bool>(false)
    /// Nothing more is received, for whatever reason.
    let isOver = Atomic<Bool>(false)

    /// The bytes that belong at an offset, a multiple of 8: numbers of words, spread over all their bits.
    static func pattern(at offset: Int, count: Int) -> [UInt8] {
        (offset / 8..<(offset + count + 7) / 8).flatMap { word in
            withUnsafeBytes(of: (UInt64(word + 1) &* 0x9E37_79B9_7F4A_7C15).littleEndian) { Array($0) }
        }
    }

    /// Some 200 kB a second until it is to end, or is cut; the count of bytes sent.
    func send(_ socket: PlainSocket) throws -> Int {
        var count = 0
        while !self.isEnding.load(ordering: .relaxed) {
            do {
                try socket.write(Self.pattern(at: count, count: Self.block))
            } catch let failure as SocketFailure where failure.code == ECONNRESET || failure.code == EPIPE {
                return count
            }
            count += Self.block
            self.sent.store(count, ordering: .relaxed)
            Thread.sleep(forTimeInterval: 0.01)
        }
        self.hasFinished.store(true, ordering: .sequentiallyConsistent)
        socket.finishWriting()
        return count
    }

    /// Compares what comes with what is due, until the end.
    func receive(_ socket: PlainSocket) throws -> CountedStream.Fate {
        defer {
            self.isOver.store(true, ordering: .relaxed)
            // After a fault the sender would go on for ever.
            socket.interrupt()
        }
        var buffer = [UInt8](repeating: 0, count: 4 * Self.block)
        var count = 0
        while true {
            switch try buffer.withUnsafeMutableBytes({ try socket.read(into: $0) }) {
            case .bytes(let more):
                let begin = count - count % 8
                let expected = Self.pattern(at: begin, count: count - begin + more).dropFirst(count - begin).prefix(more)
                guard buffer[..<more].elementsEqual(expected) else {
                    throw Unmet("expected byte \(count) and the \(more - 1) after it as they were sent")
                }
                count += more
                self.received.store(count, ordering: .relaxed)
            case .end:
                if self.hasFinished.load(ordering: .sequentiallyConsistent) { return .whole }
                // The kernel tells of a reset once, and the sender may have been the one.
                guard socket.isDead else {
                    throw Unmet("expected no end before everything was sent, got one after \(count) bytes")
                }
                return .reset
            case .reset: return .reset
            }
        }
    }
}

extension PlainSocket {
    /// Whether the connection is gone in both directions, as after a reset.
    fileprivate var isDead: Bool {
        // tcp_info begins with the state (linux/tcp.h).
        var info = [UInt8](repeating: 0, count: 1)
        var length = socklen_t(info.count)
        return getsockopt(self.descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 && info[0] == UInt8(TCP_CLOSE)
    }
}
