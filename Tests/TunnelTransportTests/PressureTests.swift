import Foundation
import NIOCore
import Synchronization
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

/// The most that was held while somebody looked.
private final class Peak: Sendable {
    private let most = Atomic<Int>(0)
    private let isOver = Atomic<Bool>(false)

    /// Looks at `budget` every half millisecond until `stop`.
    init(of budget: MemoryBudget) {
        Thread { [self] in
            while !self.isOver.load(ordering: .relaxed) {
                self.most.max(budget.held, ordering: .relaxed)
                usleep(500)
            }
        }.start()
    }

    func stop() -> Int {
        self.isOver.store(true, ordering: .relaxed)
        return self.most.load(ordering: .relaxed)
    }
}

extension Transport {
    /// Slow readers, stalled sources, full budgets: memory is bounded, counted, and given back.
    @Suite struct PressureTests {
        private func small() -> TunnelBed.Options {
            var options = TunnelBed.Options()
            for side in [\TunnelBed.Options.server, \TunnelBed.Options.client] {
                options[keyPath: side].replayBuffer = 2 << 20
                options[keyPath: side].maximumStreamWindow = 1 << 20
                options[keyPath: side].windowGrowth = 2 << 20
            }
            return options
        }

        private func budgetsAreEmpty(_ bed: TunnelBed) async throws {
            try await eventually("both budgets are empty") { bed.clientBudget.held == 0 && bed.serverBudget.held == 0 }
        }

        @Test func aReaderThatNeverReadsStopsNobodyElse() async throws {
            try await TunnelBed.with(self.small()) { bed in
                let (pattern, count, received) = (Pattern(seed: 31), 24 << 20, Log<Received>())
                let isOver = Log<Void>()
                bed.service("stalled", try Backend(keptBy: bed) { _ in while isOver.count == 0 { usleep(5_000) } })
                bed.service("bulk", try Backend.sink(pattern, received, keptBy: bed))
                bed.service("echo", try Backend.echo(keptBy: bed))
                let client = try await bed.client()
                let stalled = try await client.forward(to: "stalled").port
                let bulk = try await client.forward(to: "bulk").port
                let echo = try await client.forward(to: "echo").port
                let (here, there) = (Peak(of: bed.clientBudget), Peak(of: bed.serverBudget))
                // As much as all buffers on the way take, and then more.
                let stuffed = try await onThread { try RawSocket.connect(port: stalled) }
                try await eventually("nothing more goes in") {
                    var sent = 0
                    while true {
                        let count = stuffed.sendAtOnce([UInt8](repeating: 3, count: 65_536))
                        if count == 0 { break }
                        sent += count
                    }
                    try await Task.sleep(for: .milliseconds(30))
                    return sent == 0
                }
                async let transfer: Void = onThread {
                    let socket = try RawSocket.connect(port: bulk)
                    try socket.send(pattern, count: count)
                    socket.finish()
                    _ = socket.drain()
                }
                try await onThread {
                    let socket = try RawSocket.connect(port: echo)
                    for round in 0..<300 {
                        try socket.send([UInt8(round % 256)])
                        guard try socket.receive(exactly: 1) == [UInt8(round % 256)] else {
                            throw Overdue(description: "round \(round) of the conversation came back wrong")
                        }
                    }
                }
                try await transfer
                #expect(received.entries.map(\.count) == [count] && received.entries[0].firstDifference == nil)
                // The replay buffer, the windows, and a few buffers on their way.
                #expect(here.stop() <= (2 << 20) + (3 << 20) + (1 << 20))
                #expect(there.stop() <= (2 << 20) + (3 << 20) + (1 << 20))
                isOver.add(())
                stuffed.reset()
                try await bed.streamsAreForgotten(by: client)
                try await self.budgetsAreEmpty(bed)
            }
        }

        /// NIO reads a socket that closes to its end, wanted or not: what that brings is counted, and none of it is lost.
        @Test func aThousandStalledSourcesThatCloseAtOnce() async throws {
            var options = TunnelBed.Options()
            options.clientBudget = 32 << 20
            try await TunnelBed.with(options) { bed in
                let (count, each) = (1_000, 64 << 10)
                let (pattern, received) = (Pattern(seed: 32), Log<Received>())
                bed.service("sink", try Backend.sink(pattern, received, keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "sink").port
                let sockets = try await onThread { try (0..<count).map { _ in try RawSocket.connect(port: port) } }
                try await eventually("all streams are open") { client.outcomes.count == count }
                #expect(client.outcomes.entries.allSatisfy { $0 == .opened })
                bed.proxy.setDown(true)
                bed.proxy.cutNow(.reset)
                try await eventually("the link is gone") { try await client.snapshot()?.isAttached == false }
                // Without a link no source is read.
                try await onThread { for socket in sockets { try socket.send(pattern, count: each) } }
                let stalled = try await client.snapshot()
                #expect((stalled?.heldBytes ?? .max) < count * each / 4)
                for (index, socket) in sockets.enumerated() {
                    if index % 4 == 0 { socket.reset() } else { socket.finish() }
                }
                let kept = count / 4 * 3
                try await eventually("what was pending is read and counted") { bed.clientBudget.held >= kept * each }
                // The bytes, and of the last buffer of each the part that is not filled.
                #expect(bed.clientBudget.held <= count * (each + 65_536))
                try await eventually("those that were reset are gone") {
                    try await client.loop.run { client.driver?.streamCount == kept }
                }
                // The budget is more than used up: nobody else gets in.
                #expect(try await onThread { try RawSocket.connect(port: port).drain().end } == .reset)
                try await eventually("the refusal is reported") {
                    client.outcomes.entries.last == .refused(Refusal(.busy, "the memory budget is nearly used up"))
                }
                bed.proxy.setDown(false)
                try await eventually("all that was sent arrived") {
                    received.entries.filter { $0.end == .finished }.count == kept
                }
                let whole = received.entries.filter { $0.end == .finished }
                #expect(whole.allSatisfy { $0.count == each && $0.firstDifference == nil })
                for socket in sockets { socket.close() }
                try await bed.streamsAreForgotten(by: client)
                try await self.budgetsAreEmpty(bed)
            }
        }

        /// A budget far smaller than what is under way slows everything down and stops nothing.
        @Test(arguments: [true, false]) func aTinyBudgetOnlySlowsDown(isUpload: Bool) async throws {
            var options = TunnelBed.Options()
            options.clientBudget = 128 << 10
            options.serverBudget = 128 << 10
            try await TunnelBed.with(options) { bed in
                let (pattern, count, received) = (Pattern(seed: 33), 6 << 20, Log<Received>())
                bed.service(
                    "bulk",
                    isUpload
                        ? try Backend.sink(pattern, received, keptBy: bed)
                        : try Backend.source(pattern, count: count, keptBy: bed))
                let client = try await bed.client()
                let port = try await client.forward(to: "bulk").port
                try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    if isUpload {
                        try socket.send(pattern, count: count)
                        socket.finish()
                        _ = socket.drain()
                    } else {
                        received.add(socket.receive(pattern))
                        socket.finish()
                    }
                }
                try await eventually("it arrived") { received.count == 1 }
                #expect(received.entries[0].count == count && received.entries[0].firstDifference == nil)
                try await bed.streamsAreForgotten(by: client)
                try await self.budgetsAreEmpty(bed)
            }
        }

        @Test func twoThousandShortConnectionsLeaveNothingBehind() async throws {
            try await TunnelBed.with { bed in
                let backend = try Backend.echo(keptBy: bed)
                bed.service("echo", backend)
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let before = RawSocket.connections(touching: [port, backend.port, bed.serverPort])
                try await withThrowingTaskGroup(of: Int.self) { tasks in
                    for task in 0..<10 {
                        tasks.addTask {
                            try await onThread {
                                for round in 0..<200 {
                                    let socket = try RawSocket.connect(port: port)
                                    try socket.send("task \(task) round \(round)")
                                    socket.finish()
                                    let answer = try socket.receive(exactly: 64)
                                    guard String(decoding: answer, as: UTF8.self) == "task \(task) round \(round)" else {
                                        throw Overdue(description: "task \(task) round \(round) came back as \(answer)")
                                    }
                                }
                                return 200
                            }
                        }
                    }
                    let total = try await tasks.reduce(0, +)
                    #expect(total == 2_000)
                }
                #expect(client.outcomes.entries == [OpenOutcome](repeating: .opened, count: 2_000))
                try await bed.streamsAreForgotten(by: client)
                try await self.budgetsAreEmpty(bed)
                try await eventually("all connections are closed") {
                    RawSocket.connections(touching: [port, backend.port, bed.serverPort]) == before
                }
            }
        }

        /// Nothing that belongs to a session outlives it: not its timers, its link or its sockets.
        @Test func anEndedSessionIsFreed() async throws {
            try await TunnelBed.with { bed in
                bed.service("echo", try Backend.echo(keptBy: bed))
                let weakly = Log<WeakBox>()
                for round in 0..<5 {
                    let client = try await bed.client(name: "worker-\(round)")
                    let port = try await client.forward(to: "echo").port
                    let socket = try await onThread {
                        let socket = try RawSocket.connect(port: port)
                        try socket.send("x")
                        _ = try socket.receive(exactly: 1)
                        return socket
                    }
                    if round % 2 == 0 { try await client.relink() }
                    try await client.loop.run { if let driver = client.driver { weakly.add(WeakBox(driver)) } }
                    for host in bed.hosts {
                        try await host.eventLoop.run {
                            for entry in host.value.sessions.values where entry.name == "worker-\(round)" {
                                weakly.add(WeakBox(entry.driver))
                            }
                        }
                    }
                    try await client.stop()
                    #expect(try await onThread { socket.drain().end } == .reset)
                }
                #expect(weakly.count == 10)
                try await eventually("all sessions are freed") { weakly.entries.allSatisfy { $0.value == nil } }
                try await self.budgetsAreEmpty(bed)
            }
        }
    }
}

/// A reference that keeps nothing alive.
private final class WeakBox: @unchecked Sendable {
    weak var value: AnyObject?
    init(_ value: AnyObject) { self.value = value }
}
