import Foundation
import NIOCore
import NIOPosix
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// A session that notes what a socket tells it. Loop-bound.
private final class NotingOwner: StreamSocketOwner {
    enum Note: Sendable, Equatable {
        case read([UInt8])
        case finished
        case consumed(Int)
        case closed(isClean: Bool)
    }

    let notes: Log<Note>

    init(notes: Log<Note>) { self.notes = notes }

    func socket(_ id: StreamID, read bytes: consuming ByteBuffer) { self.notes.add(.read(Array(bytes.readableBytesView))) }
    func socketFinished(_ id: StreamID) { self.notes.add(.finished) }
    func socket(_ id: StreamID, consumed bytes: Int) { self.notes.add(.consumed(bytes)) }
    func socketClosed(_ id: StreamID, isClean: Bool) { self.notes.add(.closed(isClean: isClean)) }
}

extension Transport {
    /// One socket of a stream between the kernel and a session, at the edges.
    @Suite struct StreamSocketTests {
        /// A connection whose one end is a `StreamSocket` and whose other end is the test's.
        private final class Pair: @unchecked Sendable {
            let loop: any EventLoop
            let notes = Log<NotingOwner.Note>()
            let far: RawSocket
            /// Used on the loop alone.
            let socket: StreamSocket
            private let owner: NotingOwner
            private let listener: StreamListener

            init(loop: any EventLoop, receiveBuffer: CInt? = nil, isAttached: Bool = true) async throws {
                self.loop = loop
                let metrics = TransportMetrics()
                let accepted = Log<UncheckedBox<StreamSocket>>()
                self.listener = try await loop.flatSubmit {
                    let environment = TransportEnvironment(
                        eventLoop: loop, budget: MemoryBudget(limit: 1 << 30), metrics: metrics)
                    guard let address = try? SocketAddress(ipAddress: "127.0.0.1", port: 0) else {
                        return loop.makeFailedFuture(Overdue(description: "no address"))
                    }
                    return StreamListener.bind(address, environment: environment) { socket, _ in
                        accepted.add(UncheckedBox(socket))
                    }
                }.get()
                let port = self.listener.port
                self.far = try await onThread { try RawSocket.connect(port: port, receiveBuffer: receiveBuffer) }
                self.socket = try await eventually("the connection is accepted") { accepted.entries.first }.value
                self.owner = NotingOwner(notes: self.notes)
                if isAttached { try await self.attach() }
            }

            func attach() async throws { try await self.loop.run { self.socket.attach(to: self.owner, as: 1) } }

            func run(_ body: @escaping @Sendable (StreamSocket) -> Void) async throws {
                try await self.loop.run { body(self.socket) }
            }

            func close() async throws {
                try await self.run { $0.abort() }
                try await self.listener.close().get()
            }

            var consumed: Int { self.notes.entries.reduce(0) { if case .consumed(let count) = $1 { $0 + count } else { $0 } } }
            var ends: [NotingOwner.Note] {
                self.notes.entries.filter { if case .closed = $0 { true } else { $0 == .finished } }
            }
        }

        private func withPair(
            receiveBuffer: CInt? = nil, isAttached: Bool = true, _ body: (Pair) async throws -> Void
        ) async throws {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let pair = try await Pair(loop: group.next(), receiveBuffer: receiveBuffer, isAttached: isAttached)
            do { try await body(pair) } catch {
                try? await pair.close()
                try await group.shutdownGracefully()
                throw error
            }
            try await pair.close()
            try await group.shutdownGracefully()
        }

        private let pattern = Pattern(seed: 11)

        /// Hands the first `count` bytes of the pattern to the socket in pieces of `piece`, a flush behind every sixteen.
        private func deliver(_ count: Int, piece: Int, to pair: Pair, thenFinish: Bool) async throws {
            let pattern = self.pattern
            try await pair.run { socket in
                var (done, pieces) = (0, 0)
                while done < count {
                    let bytes = pattern.withBytes(at: done, count: min(piece, count - done)) { ByteBuffer(bytes: $0) }
                    done += bytes.readableBytes
                    pieces += 1
                    socket.isDirty = true
                    socket.deliver(bytes)
                    if pieces % 16 == 0 { socket.flush() }
                }
                if thenFinish { socket.finishOutputAfterFlush() }
                socket.flush()
            }
        }

        @Test(arguments: [400, 5_000, 60_000]) func aSlowReaderGetsEveryByteAndThenTheEnd(piece: Int) async throws {
            let (pattern, count) = (self.pattern, 12 << 20)
            try await self.withPair(receiveBuffer: 8_192) { pair in
                try await self.deliver(count, piece: piece, to: pair, thenFinish: true)
                #expect(pair.consumed < count)
                let far = pair.far
                let received = try await onThread { far.receive(pattern) { if $0 < 600_000 { usleep(200) } } }
                #expect(received.count == count && received.firstDifference == nil && received.end == .finished)
                try await eventually("everything is reported") { pair.consumed == count }
                #expect(pair.ends.isEmpty)
                far.finish()
                try await eventually("the socket closed cleanly") { pair.ends == [.finished, .closed(isClean: true)] }
            }
        }

        /// NIO closes a channel altogether when its output is closed after its input: not before everything is written.
        @Test func theSameWhenItsInputHasEndedBefore() async throws {
            let (pattern, count) = (self.pattern, 12 << 20)
            try await self.withPair(receiveBuffer: 8_192) { pair in
                let far = pair.far
                far.finish()
                try await eventually("the end is seen") { pair.ends == [.finished] }
                try await self.deliver(count, piece: 30_000, to: pair, thenFinish: true)
                #expect(pair.consumed < count && pair.ends == [.finished])
                let received = try await onThread { far.receive(pattern) { if $0 < 600_000 { usleep(200) } } }
                #expect(received.count == count && received.firstDifference == nil && received.end == .finished)
                try await eventually("the socket closed cleanly") { pair.ends == [.finished, .closed(isClean: true)] }
                #expect(pair.consumed == count)
            }
        }

        @Test func theOutputsEndFirstIsCleanToo() async throws {
            try await self.withPair { pair in
                try await pair.run { $0.finishOutput() }
                try await onThread { try pair.far.send("last words") }
                pair.far.finish()
                try await eventually("the socket closed cleanly") { pair.ends == [.finished, .closed(isClean: true)] }
                #expect(pair.notes.entries.contains(.read(Array("last words".utf8))))
            }
        }

        @Test func anRSTIsNeverClean() async throws {
            for outputEndsFirst in [true, false] {
                try await self.withPair { pair in
                    if outputEndsFirst { try await pair.run { $0.finishOutput() } }
                    pair.far.reset()
                    try await eventually("the end is seen") { pair.ends == [.closed(isClean: false)] }
                }
            }
        }

        @Test func anAbortIsAnRST() async throws {
            try await self.withPair { pair in
                try await pair.run { $0.abort() }
                #expect(try await onThread { pair.far.drain().end } == .reset)
                #expect(pair.notes.entries.isEmpty)
            }
        }

        /// Small pieces behind a backlog are joined: they must not each pin the buffer that they came in.
        @Test func whatABacklogPinsIsBounded() async throws {
            try await self.withPair(receiveBuffer: 8_192) { pair in
                // Fill what the kernel takes.
                try await self.deliver(8 << 20, piece: 60_000, to: pair, thenFinish: false)
                let before = try await pair.loop.run { pair.socket.pendingWrites }
                try await pair.run { socket in
                    for _ in 0..<5_000 {
                        var large = ByteBufferAllocator().buffer(capacity: 32_768)
                        large.writeRepeatingByte(1, count: 30_000)
                        if let piece = large.readSlice(length: 10) {
                            socket.isDirty = true
                            socket.deliver(piece)
                            socket.flush()
                        }
                    }
                }
                let after = try await pair.loop.run { pair.socket.pendingWrites }
                // 50 000 bytes, joined into pieces of 16 KiB.
                #expect(after - before <= 4)
            }
        }

        @Test func whatHappensBeforeItsStreamIsThereIsReportedThen() async throws {
            try await self.withPair(isAttached: false) { pair in
                try await onThread { try pair.far.send("early") }
                pair.far.finish()
                // NIO reads a socket that is closing to its end, asked or not.
                try await eventually("it has read") { try await pair.loop.run { pair.socket.bytesRead == 5 } }
                #expect(pair.notes.entries.isEmpty)
                try await pair.attach()
                #expect(pair.notes.entries == [.read(Array("early".utf8)), .finished])
            }
        }

        @Test func aConnectionThatIsGoneBeforeItsStreamIsReportedThen() async throws {
            try await self.withPair(isAttached: false) { pair in
                pair.far.reset()
                try await eventually("it is closed") { try await pair.loop.run { !pair.socket.isConnected } }
                try await pair.attach()
                #expect(pair.notes.entries == [.closed(isClean: false)])
            }
        }

        @Test func nothingIsReadUnlessAsked() async throws {
            try await self.withPair { pair in
                try await onThread { try pair.far.send("one") }
                // The socket is not polled for reading at all: a few turns of the loop later nothing has come.
                for _ in 0..<20 { try await pair.loop.run {} }
                #expect(pair.notes.entries.isEmpty)
                try await pair.run { $0.readMore() }
                try await eventually("it is read") { pair.notes.entries == [.read(Array("one".utf8))] }
                try await onThread { try pair.far.send("two") }
                for _ in 0..<20 { try await pair.loop.run {} }
                #expect(pair.notes.count == 1)
            }
        }
    }

    /// Ends of streams while there is no link.
    @Suite struct LinklessEndTests {
        /// A local connection that ended in order, with bytes still to be sent, loses none of them when the link is away.
        @Test func aCleanCloseWhileTheLinkIsAwayLosesNothing() async throws {
            let (up, down) = (Pattern(seed: 21), Pattern(seed: 22))
            try await TunnelBed.with { bed in
                let arrived = Log<Received>()
                bed.service(
                    "late",
                    try Backend(keptBy: bed) { socket in
                        try socket.send(down, count: 1_000)
                        socket.finish()
                        arrived.add(socket.receive(up))
                    })
                let client = try await bed.client()
                let port = try await client.forward(to: "late").port
                let socket = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    _ = socket.receive(down)
                    return socket
                }
                // The server's direction is over. Now the link goes, and then the client's direction ends, with bytes in it.
                bed.proxy.setDown(true)
                bed.proxy.cutNow(.reset)
                try await eventually("the link is gone") { try await client.snapshot()?.isAttached == false }
                try await onThread { try socket.send(up, count: 50_000) }
                socket.finish()
                socket.close()
                try await eventually("the local connection is over") {
                    try await client.loop.run { client.driver?.streamCount == 0 }
                }
                #expect(arrived.entries.isEmpty)
                bed.proxy.setDown(false)
                try await eventually("the backend has it all") { arrived.count == 1 }
                let received = arrived.entries[0]
                #expect(received.count == 50_000 && received.firstDifference == nil && received.end == .finished)
                try await bed.streamsAreForgotten(by: client)
            }
        }
    }
}
