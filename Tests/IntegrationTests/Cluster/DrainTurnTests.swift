import Testing

extension Integration.Cluster {
    /// One server drains at a time.
    @Suite struct DrainTurnTests {
        @Test func drainsThatWaitTakeTurns() async throws {
            try await ServerGroup.with(GroupSetup(isCluster: true)) { group in
                try await group.accord(voters: group.servers)
                let drains = group.servers.map { server in
                    (server: server, task: Task { try await server.admin.ctl("drain", "--wait", within: .seconds(120)) })
                }
                var served: [String] = []
                for _ in drains {
                    let now = try await eventually("another server to drain", within: .seconds(30)) {
                        let draining = try await group.servers.asyncFilter {
                            try await $0.admin.status()["draining"].bool == true
                        }
                        guard draining.count <= 1 else { throw Unmet("several drain: \(draining.map(\.name))") }
                        return draining.first
                    }
                    served.append(now.name)
                    guard let drain = drains.first(where: { $0.server === now }) else {
                        throw Unmet("expected a drain of \(now.name)")
                    }
                    let result = try await drain.task.value
                    #expect(result.end == .exit(0) && result.output == "drained: no streams are left\n", "\(result)")
                    // Its turn lasts until it serves again: the others are still waiting, which connections do not notice.
                    for _ in 0..<5 {
                        try await Task.sleep(for: .milliseconds(100))
                        for other in group.others(than: now) {
                            #expect(try await other.admin.status()["draining"].bool == false, "\(other.name) drains as well")
                        }
                        #expect(try await group.whoAnswers() !== now)
                    }
                    #expect(try await now.admin.ctl("undrain").end == .exit(0))
                    try await eventually("\(now.name) to serve again") { try await now.admin.isReady() }
                }
                #expect(Set(served).count == 3, "\(served)")
            }
        }

        /// A server that is killed while it drains does not keep its turn.
        @Test func theTurnOfADeadServerIsOver() async throws {
            try await ServerGroup.with(GroupSetup(isCluster: true)) { group in
                let accord = try await group.accord(voters: group.servers)
                let others = group.others(than: accord.leader)
                #expect(try await others[0].admin.ctl("drain", "--wait").end == .exit(0))
                let second = Task { try await others[1].admin.ctl("drain", "--wait", within: .seconds(60)) }
                for _ in 0..<10 {
                    try await Task.sleep(for: .milliseconds(100))
                    #expect(try await others[1].admin.status()["draining"].bool == false, "expected it to wait for its turn")
                }
                try await others[0].kill()
                #expect(try await second.value.end == .exit(0))
                #expect(try await group.whoAnswers() === accord.leader)
            }
        }
    }
}

extension Sequence where Element: Sendable {
    /// One after the other.
    func asyncFilter(_ isIncluded: (Element) async throws -> Bool) async rethrows -> [Element] {
        var found: [Element] = []
        for element in self where try await isIncluded(element) { found.append(element) }
        return found
    }
}
