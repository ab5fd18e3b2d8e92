import TunnelWire

/// Who was told what, and whether it was true while it was asked.
struct AnswerCheck: Sendable {
    struct Question: Sendable {
        var place: Int
        var request: LeaderRequest
        var askedAt: Int64
    }

    /// Not answered yet, by id.
    private(set) var open: [UInt64: Question] = [:]

    mutating func asked(_ id: UInt64, _ question: Question) { self.open[id] = question }

    /// Nobody waits for it any more.
    mutating func dropped(_ id: UInt64) { self.open[id] = nil }
    mutating func dropped(place: Int) { self.open = self.open.filter { $0.value.place != place } }

    mutating func answered(
        _ id: UInt64, _ outcome: RequestOutcome, by place: Int, _ commits: CommitCheck
    ) -> String? {
        guard let question = self.open.removeValue(forKey: id), question.place == place else {
            return "s\(place) answers the request \(id), which nobody there waits for"
        }
        guard case .assigned(let mapped) = outcome, case .port(let request) = question.request else { return nil }
        guard mapped.client == request.client, mapped.exposure == request.exposure else {
            return "\(request.client)/\(request.exposure) asked and was told the port of \(mapped.client)/\(mapped.exposure)"
        }
        let key = CommitCheck.GrantKey(port: mapped.port, token: mapped.token)
        guard let grant = commits.grants[key] else {
            return
                "\(request.client)/\(request.exposure) is told port \(mapped.port) with token \(mapped.token.text), which no quorum has"
        }
        if let end = grant.endedAt, end < question.askedAt {
            return """
                \(request.client)/\(request.exposure) is told port \(mapped.port) with token \(mapped.token.text), \
                which was over \((question.askedAt - end) / 1_000_000) ms before it asked
                """
        }
        return nil
    }
}
