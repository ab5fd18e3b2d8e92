import Testing

@testable import TunnelTransport

@Suite struct HandshakeGateTests {
    private func ticket(_ outcome: HandshakeBook.Outcome) -> UInt64? {
        switch outcome {
        case .admitted(let ticket), .waiting(let ticket): ticket
        case .refused: nil
        }
    }

    private func isAdmitted(_ outcome: HandshakeBook.Outcome) -> Bool { if case .admitted = outcome { true } else { false } }
    private func isRefused(_ outcome: HandshakeBook.Outcome) -> Bool { if case .refused = outcome { true } else { false } }

    @Test func oneSourceGetsItsShareAndTheRestWaits() throws {
        var book = HandshakeBook(limit: 10, perSource: 3, waiting: 2)
        for _ in 0..<3 { #expect(self.isAdmitted(book.enter(source: "a") {})) }
        for _ in 0..<2 { #expect(!self.isAdmitted(book.enter(source: "a") {})) }
        #expect(book.active == 3 && book.queue.count == 2)
        // The queue is full, and yet another source has room.
        #expect(self.isRefused(book.enter(source: "a") {}))
        #expect(self.isAdmitted(book.enter(source: "b") {}))
    }

    @Test func theFirstThatFitsTakesAFreePlace() throws {
        let order = Log<String>()
        var book = HandshakeBook(limit: 2, perSource: 1, waiting: 9)
        let (a, b) = (self.ticket(book.enter(source: "a") {}), self.ticket(book.enter(source: "b") {}))
        for source in ["a", "b", "a", "c"] { _ = book.enter(source: source) { order.add(source) } }
        // b leaves: the a in front of the queue does not fit, the b behind it does.
        for proceed in book.leave(try #require(b)) { proceed() }
        #expect(order.entries == ["b"])
        for proceed in book.leave(try #require(a)) { proceed() }
        #expect(order.entries == ["b", "a"])
        #expect(book.active == 2 && book.queue.map(\.source) == ["a", "c"])
    }

    @Test func whoeverWaitsMayLeaveAndLeavesOnce() throws {
        var book = HandshakeBook(limit: 1, perSource: 1, waiting: 9)
        let inside = try #require(self.ticket(book.enter(source: "a") {}))
        let waiting = try #require(self.ticket(book.enter(source: "a") {}))
        #expect(book.leave(waiting).isEmpty && book.queue.isEmpty && book.active == 1)
        #expect(book.leave(inside).isEmpty && book.active == 0)
        #expect(book.leave(inside).isEmpty && book.active == 0)
        #expect(self.isAdmitted(book.enter(source: "a") {}))
    }

    @Test func aHigherLimitLetsInWhoWaits() {
        let count = Log<Void>()
        var book = HandshakeBook(limit: 1, perSource: 64, waiting: 9)
        for _ in 0..<5 { _ = book.enter(source: "a") { count.add(()) } }
        for proceed in book.setLimit(4) { proceed() }
        #expect(count.count == 3 && book.active == 4 && book.queue.count == 1)
        #expect(book.setLimit(2).isEmpty && book.active == 4)
    }

    /// Any order of comings and goings keeps the bounds, and loses nobody.
    @Test(arguments: UInt64(1)...20) func anyOrderKeepsTheBounds(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var book = HandshakeBook(limit: 6, perSource: 3, waiting: 8)
        var tickets: [UInt64] = []
        for _ in 0..<500 {
            if Bool.random(using: &rng) || tickets.isEmpty {
                let source = "source \(Int.random(in: 0..<4, using: &rng))"
                if let ticket = self.ticket(book.enter(source: source) {}) { tickets.append(ticket) }
            } else {
                _ = book.leave(tickets.remove(at: Int.random(in: 0..<tickets.count, using: &rng)))
            }
            #expect(book.active <= 6 && book.queue.count <= 8)
            #expect(book.active + book.queue.count == tickets.count)
        }
        for ticket in tickets { _ = book.leave(ticket) }
        #expect(book.active == 0 && book.queue.isEmpty)
    }
}

@Suite struct PlacementTests {
    @Test func theHostNameCarriesTheKey() {
        for index in 0..<1_000 {
            let name = "worker-\(index).site-\(index % 7)"
            let hostName = Placement.hostName(client: name)
            #expect(Placement.key(hostName: hostName) == Placement.key(client: name))
            #expect(!hostName.contains("worker") && hostName.utf8.count <= 14)
        }
    }

    @Test func otherHostNamesCarryNone() {
        for name in ["", "p.gotunnel", "pxyz.gotunnel", "p10000.gotunnel", "p1.example.org", "1.gotunnel", "p-1.gotunnel"] {
            #expect(Placement.key(hostName: name) == nil, "\(name)")
        }
    }

    @Test func namesAreSpreadOverTheLoops() {
        var counts = [Int](repeating: 0, count: 4)
        for index in 0..<4_000 { counts[Placement.loop(key: Placement.key(client: "worker-\(index)"), count: 4)] += 1 }
        #expect(counts.allSatisfy { (800...1_200).contains($0) }, "\(counts)")
        #expect(Placement.loop(key: 12_345, count: 1) == 0 && Placement.loop(key: 12_345, count: 0) == 0)
    }
}
