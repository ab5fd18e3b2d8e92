import Foundation
import NIOCore
import NIOSSL
import Synchronization
import Testing
import TunnelTransport
import TunnelWire

extension Integration.HostileTests {
    @Test("programs that do not speak the protocol", .timeLimit(.minutes(2)))
    func strangers() async throws {
        try await HostileSite.attack { site in
            let port = site.port
            for text in ["hello, is anybody there?\r\n", "GET / HTTP/1.1\r\nHost: example\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0\0\0"] {
                let before = try await site.failures("tls")
                let ending = try await onThread {
                    let socket = try PlainSocket.connect(port: port)
                    defer { socket.close() }
                    try socket.write(Array(text.utf8))
                    return try socket.readAll(limit: 4_096)
                }
                #expect(ending.bytes.count < 64, "a stranger is told at most a TLS alert, not \(ending.bytes.count) bytes")
                try await site.expectFailures("tls", atLeast: before + 1)
            }
            var greetings = [HandmadeLink.Greeting(), HandmadeLink.Greeting(), HandmadeLink.Greeting()]
            greetings[0].protocols = []
            greetings[1].protocols = ["h2", "http/1.1"]
            greetings[2].newestTLS = .tlsv12
            for greeting in greetings {
                let before = try await site.failures("tls")
                let link = try await HandmadeLink.dial(port: port, greeting: greeting)
                try await link.waitForEnd()
                try await site.expectFailures("tls", atLeast: before + 1)
            }
            #expect(try site.failureLines("tls").count == 1)
            let lost = try await site.failures("disconnected")
            for _ in 0..<20 { try await onThread { try PlainSocket.connect(port: port).close() } }
            try await site.expectFailures("disconnected", atLeast: lost + 20)
            #expect(try site.failureLines("disconnected").count == 1)
        }
    }

    /// Random bytes, plain and inside TLS, from a seed.
    @Test("random bytes over 500 connections", .timeLimit(.minutes(3)))
    func randomBytes() async throws {
        try await HostileSite.attack { site in
            let port = site.port
            let before = try await site.allFailures()
            try await onThread {
                var random = SeededGenerator(seed: 99)
                for number in 0..<450 {
                    let socket = try PlainSocket.connect(port: port)
                    var bytes = (0..<Int.random(in: 1...2_000, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                    // Every other one begins like a TLS record, to get further.
                    if number % 2 == 0 { bytes = [0x16, 0x03, 0x01, UInt8.random(in: 0...3, using: &random)] + bytes }
                    // The server may have closed already.
                    _ = try? socket.write(bytes)
                    if number % 3 == 0 { socket.reset() } else { socket.close() }
                }
            }
            var random = SeededGenerator(seed: 100)
            for _ in 0..<50 {
                let link = try await HandmadeLink.dial(port: port)
                try await link.waitForTLS()
                let bytes = (0..<Int.random(in: 8...2_000, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                try? await link.send(ByteBuffer(bytes: bytes))
                await link.close()
            }
            try await eventually("every connection is counted", within: .seconds(30)) {
                let now = try await site.allFailures()
                guard now >= before + 500 else { throw Unmet("\(now - before) of 500") }
                return true
            }
        }
    }

    /// A HELLO that comes one byte a second is cut off by the deadline of the whole handshake.
    @Test("a HELLO sent one byte a second", .timeLimit(.minutes(1)))
    func slowHello() async throws {
        try await HostileSite.attack { site in
            let before = try await site.failures("timeout")
            let link = try await HandmadeLink.dial(port: site.port)
            try await link.waitForTLS()
            let bytes = Array(HandmadeClient(name: "intruder-1", token: site.intruder).hello.frame().readableBytesView)
            let start = ContinuousClock.now
            var sent = 0
            while !link.isOver, sent < 30 {
                try? await link.send(ByteBuffer(bytes: bytes[sent..<(sent + 1)]))
                sent += 1
                try await Task.sleep(for: .seconds(1))
            }
            figure("slow HELLO: closed after \(sent) bytes of \(bytes.count), \((ContinuousClock.now - start).seconds) s")
            #expect(link.isOver && sent < 30)
            #expect(try await site.failures("timeout") == before + 1)
        }
    }

    /// An address that holds thousands of handshakes open keeps nobody else out.
    @Test("2 000 half-open handshakes from one address", .timeLimit(.minutes(2)))
    func halfOpenFlood() async throws {
        try await HostileSite.attack(logLines: 80) { site in
            let port = site.port
            let sockets = try await onThread {
                try (0..<2_000).map { _ in try PlainSocket.connect(port: port, from: "127.0.0.2") }
            }
            // Some of them begin a TLS greeting and leave it at that.
            let greeting: [UInt8] = [0x16, 0x03, 0x01, 0x01, 0x00, 0x01]
            for socket in sockets.prefix(500) { _ = try? socket.write(greeting) }
            var times: [Double] = []
            for number in 0..<10 {
                let start = ContinuousClock.now
                let session = try await site.intrude(as: "intruder-\(number)")
                times.append((ContinuousClock.now - start).seconds)
                await session.link.close()
            }
            let start = ContinuousClock.now
            try await site.withClient("intruder-real", port: port) { _ in
                try await eventually("a real client to be in", isTrue: { try await site.clients().contains("intruder-real") })
            }
            let program = (ContinuousClock.now - start).seconds
            let open = try site.pair.server.openDescriptors
            figure(
                "half-open flood: handshakes of another address beside it took \(times.min() ?? 0) to \(times.max() ?? 0) s, "
                    + "a whole client program \(program) s with its start; server had \(open) descriptors open")
            #expect(open > 1_000, "the flood was still there")
            for socket in sockets { socket.reset() }
            try await eventually("the server to have closed them", within: .seconds(30)) {
                try site.pair.server.openDescriptors < 200 ? true : nil
            }
            #expect(try site.pair.server.logLines.filter { $0.contains("127.0.0.2") }.count <= 4)
        }
    }
}

extension HostileSite {
    /// Failed handshakes for whatever reason.
    func allFailures() async throws -> Int {
        var sum = 0
        for reason in HandshakeFailure.allCases { sum += try await self.failures(reason.rawValue) }
        return sum
    }
}
