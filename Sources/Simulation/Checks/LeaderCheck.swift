/// Two processes never lead the same term.
struct LeaderCheck: Sendable {
    private struct Process: Equatable, Sendable {
        var place: Int
        var life: Int
        var name: String
    }

    private var leaders: [UInt64: Process] = [:]

    func isLeader(_ place: Int, life: Int, of term: UInt64) -> Bool {
        self.leaders[term].map { $0.place == place && $0.life == life } ?? false
    }

    mutating func leads(_ place: Int, life: Int, name: String, term: UInt64) -> String? {
        let process = Process(place: place, life: life, name: name)
        guard let known = self.leaders.updateValue(process, forKey: term), known != process else { return nil }
        return "\(name) (life \(life)) leads term \(term), which \(known.name) (life \(known.life)) has led"
    }
}
