import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// A server does nothing before its new generation is on disk; what it is asked meanwhile is not forgotten.
@Suite struct BirthTests {
    private struct Lone {
        var node: ClusterNode
        var now = Moment(nanoseconds: 0)
        var rng = SystemRandomNumberGenerator()
        var answers: [UInt64: RequestOutcome] = [:]
        var tickets: [UInt64] = []

        init() {
            let address = PeerAddress(host: "10.0.0.1", port: 17_000)
            self.node = ClusterNode(
                configuration: ClusterConfiguration(
                    name: "a", id: WireID(high: 0, low: 1), instance: WireID(high: 0, low: 2), addresses: [address],
                    peers: [address], ports: [20_000...20_010], software: "x"),
                stored: nil, now: self.now, rng: &self.rng)
        }

        mutating func feed(_ event: ClusterEvent) {
            for action in self.node.on(event, now: self.now, rng: &self.rng) {
                switch action {
                case .store(_, let ticket): self.tickets.append(ticket)
                case .answered(let id, let outcome): self.answers[id] = outcome
                default: break
                }
            }
        }

        /// Everything that is to be stored is, and time goes on, for so many steps.
        mutating func run(_ steps: Int) {
            for _ in 0..<steps {
                while let ticket = self.tickets.first {
                    self.tickets.removeFirst()
                    self.feed(.stored(ticket: ticket))
                }
                if let due = self.node.deadline { self.now = max(self.now, due) }
                self.feed(.timer)
            }
        }
    }

    /// Found by the simulator: an operator's command within the first write of a server was never answered.
    @Test func whatIsAskedBeforeIsAnsweredAfterwards() {
        var lone = Lone()
        lone.feed(.timer)
        lone.feed(.administer(id: 7, .removeVoter("a")))
        lone.feed(.administer(id: 8, .found))
        lone.feed(
            .request(id: 9, PortRequest(client: "w1", installation: WireID(high: 0, low: 3), exposure: "kubelet")))
        lone.feed(.requestDrain(id: 10))
        #expect(lone.answers.keys.sorted() == [8], "founding cannot wait")
        lone.run(200)
        #expect(lone.answers.keys.sorted() == [7, 8, 9, 10])
    }
}
