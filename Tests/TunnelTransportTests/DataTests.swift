import Foundation
import Testing
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Bytes and ends of streams, over a link that holds.
    @Suite struct DataTests {
        @Test func anEchoComesBackThroughAForward() async throws {
            try await TunnelBed.with { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let answer = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    try socket.send("hello through the tunnel")
                    socket.finish()
                    return (try socket.receive(exactly: 24), socket.drain().end)
                }
                #expect(String(decoding: answer.0, as: UTF8.self) == "hello through the tunnel")
                #expect(answer.1 == .finished)
                #expect(client.outcomes.entries == [.opened])
            }
        }

        @Test func anEchoComesBackThroughAnExposure() async throws {
            try await TunnelBed.with { bed in
                bed.service("kubelet", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let port = try await bed.expose("kubelet").port
                let answer = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    try socket.send("ping")
                    socket.finish()
                    return (try socket.receive(exactly: 4), socket.drain().end)
                }
                #expect(String(decoding: answer.0, as: UTF8.self) == "ping")
                #expect(answer.1 == .finished)
                #expect(client.events.entries.contains { if case .served = $0 { true } else { false } })
            }
        }

        /// The program at the far end speaks first: nothing waits for a byte from the opener.
        @Test func theServerMaySpeakFirst() async throws {
            try await TunnelBed.with { bed in
                bed.service("banner", try Backend(keptBy: bed) { try $0.send("220 ready\n") })
                let port = try await bed.client().forward(to: "banner").port
                let text = try await onThread { try RawSocket.connect(port: port).receive(exactly: 10) }
                #expect(String(decoding: text, as: UTF8.self) == "220 ready\n")
            }
        }

        @Test func sixtyFourMebibytesEachWayAtOnce() async throws {
            let (up, down, count) = (Pattern(seed: 1), Pattern(seed: 2), 64 << 20)
            try await TunnelBed.with { bed in
                let arrived = Log<Received>()
                bed.service(
                    "both", try Backend(keptBy: bed) { try $0.exchange(sending: down, count: count, receiving: up, arrived) })
                let port = try await bed.client().forward(to: "both").port
                let log = Log<Received>()
                try await onThread {
                    try RawSocket.connect(port: port).exchange(sending: up, count: count, receiving: down, log)
                }
                try await eventually("the backend has it all") { arrived.count == 1 }
                for (received, pattern) in [(arrived.entries[0], up), (log.entries[0], down)] {
                    #expect(received.end == .finished)
                    #expect(received.firstDifference == nil)
                    #expect(received.count == count)
                    #expect(received.digest == pattern.digest(count))
                }
            }
        }

        @Test func manyStreamsAtOnce() async throws {
            try await TunnelBed.with { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let (count, pattern) = (150_000, Pattern(seed: 7))
                try await withThrowingTaskGroup(of: (Int, Received).self) { tasks in
                    for stream in 0..<100 {
                        let pattern = pattern.shifted(by: stream * 1_009)
                        tasks.addTask {
                            try await onThread {
                                let (socket, log) = (try RawSocket.connect(port: port), Log<Received>())
                                try socket.exchange(sending: pattern, count: count, receiving: pattern, log)
                                return (stream, log.entries[0])
                            }
                        }
                    }
                    for try await (stream, received) in tasks {
                        #expect(received.firstDifference == nil, "stream \(stream)")
                        #expect(received.count == count, "stream \(stream)")
                        #expect(received.end == .finished, "stream \(stream)")
                    }
                }
                try await bed.streamsAreForgotten(by: client)
            }
        }

        // MARK: Half-close

        @Test func theClientsEndLeavesTheServersDirectionOpen() async throws {
            let (question, answer, count) = (Pattern(seed: 3), Pattern(seed: 4), 1 << 20)
            try await TunnelBed.with { bed in
                let arrived = Log<Received>()
                bed.service(
                    "late",
                    try Backend(keptBy: bed) { socket in
                        arrived.add(socket.receive(question))
                        // Only now, with the other direction over, does the answer begin.
                        try socket.send(answer, count: count)
                    })
                let port = try await bed.client().forward(to: "late").port
                let received = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    try socket.send(question, count: 100_000)
                    socket.finish()
                    return socket.receive(answer)
                }
                #expect(arrived.entries.map(\.count) == [100_000])
                #expect(arrived.entries.map(\.end) == [.finished])
                #expect(received.count == count && received.firstDifference == nil)
                #expect(received.end == .finished)
            }
        }

        @Test func theServersEndLeavesTheClientsDirectionOpen() async throws {
            let (early, late, count) = (Pattern(seed: 5), Pattern(seed: 6), 1 << 20)
            try await TunnelBed.with { bed in
                let arrived = Log<Received>()
                bed.service(
                    "early",
                    try Backend(keptBy: bed) { socket in
                        try socket.send(early, count: 50_000)
                        socket.finish()
                        arrived.add(socket.receive(late))
                    })
                let client = try await bed.client()
                let port = try await client.forward(to: "early").port
                let received = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    let received = socket.receive(early)
                    try socket.send(late, count: count)
                    socket.finish()
                    return received
                }
                #expect(received.count == 50_000 && received.end == .finished)
                try await eventually("the backend has it all") { arrived.count == 1 }
                let last = arrived.entries[0]
                #expect(last.count == count && last.firstDifference == nil)
                // Where the output was closed first, NIO says nothing of the input's end: it must not become an RST.
                #expect(last.end == .finished)
                try await bed.streamsAreForgotten(by: client)
            }
        }

        // MARK: Reset

        @Test func aResetOfTheOpenerArrivesAsAReset() async throws {
            try await TunnelBed.with { bed in
                let ends = Log<RawSocket.End>()
                bed.service(
                    "waits",
                    try Backend(keptBy: bed) { socket in
                        try socket.send("ready")
                        ends.add(socket.drain().end)
                    })
                let port = try await bed.client().forward(to: "waits").port
                try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    _ = try socket.receive(exactly: 5)
                    try socket.send("some bytes before the end")
                    socket.reset()
                }
                try await eventually("the backend's stream ended") { ends.count == 1 }
                #expect(ends.entries == [.reset])
            }
        }

        @Test func aResetOfTheTargetArrivesAsAReset() async throws {
            try await TunnelBed.with { bed in
                bed.service(
                    "resets",
                    try Backend(keptBy: bed) { socket in
                        _ = try socket.receive(exactly: 5)
                        socket.reset()
                    })
                let client = try await bed.client()
                let port = try await client.forward(to: "resets").port
                let end = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    try socket.send("hello")
                    return socket.drain().end
                }
                #expect(end == .reset)
                #expect(client.outcomes.entries == [.opened])
            }
        }

        /// FIN first, then RST: the second must not be taken for a clean end.
        @Test func aResetBehindAFinArrivesAsAReset() async throws {
            try await TunnelBed.with { bed in
                let (proceed, ends) = (Log<Void>(), Log<RawSocket.End>())
                bed.service(
                    "half",
                    try Backend(keptBy: bed) { socket in
                        _ = socket.drain()
                        proceed.add(())
                        // Writes until the reset is noticed.
                        do {
                            while true {
                                try socket.send([UInt8](repeating: 1, count: 10_000))
                                usleep(1_000)
                            }
                        } catch let error as SocketError {
                            ends.add(error.code == EPIPE || error.code == ECONNRESET ? .reset : .error(error.code))
                        }
                    })
                let port = try await bed.client().forward(to: "half").port
                let socket = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    socket.finish()
                    _ = try socket.receive(atMost: 1)
                    return socket
                }
                #expect(proceed.count == 1)
                socket.reset()
                try await eventually("the backend noticed") { ends.count == 1 }
                #expect(ends.entries == [.reset])
            }
        }
    }
}
