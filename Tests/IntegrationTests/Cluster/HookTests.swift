import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration.Cluster {
    /// `on_leader` and `on_follower`: once for each change, with the term, and nothing of the server's own surroundings.
    @Suite struct HookTests {
        @Test func hooksRunOnceForEachChange() async throws {
            try await ServerGroup.with(GroupSetup(isCluster: true), waits: false) { group in
                try Self.writeHooks(group)
                try await group.start(group.servers)
                let first = try await group.accord(voters: group.servers)
                try await Self.expect(first.leader, group, ["lost follower 0", "won leader \(first.term)"])
                for server in group.others(than: first.leader) { try await Self.expect(server, group, ["lost follower 0"]) }

                let heir = group.others(than: first.leader)[0]
                let other = group.others(than: first.leader)[1]
                #expect(try await other.admin.ctl("cluster", "transfer", heir.name).end == .exit(0))
                let second = try await group.accord(voters: group.servers, least: first.term + 1)
                #expect(second.leader === heir)
                try await Self.expect(heir, group, ["lost follower 0", "won leader \(second.term)"])
                let handedOver = ["lost follower 0", "won leader \(first.term)", "lost follower \(second.term)"]
                try await Self.expect(first.leader, group, handedOver)

                // A killed server runs nothing; the next one does, and the killed one when it is back.
                try await heir.kill()
                let third = try await group.accord(of: group.others(than: heir), least: second.term + 1)
                let earlier = third.leader === first.leader ? handedOver : ["lost follower 0"]
                try await Self.expect(third.leader, group, earlier + ["won leader \(third.term)"])
                try await group.start([heir])
                try await group.accord(voters: group.servers, least: third.term)
                try await Self.expect(heir, group, ["lost follower 0", "won leader \(second.term)", "lost follower 0"])
                let idle = third.leader === other ? first.leader : other
                try await Self.expect(idle, group, idle === other ? ["lost follower 0"] : handedOver)
            }
        }

        /// A hook that cannot be run, and one that fails, are said and change nothing.
        @Test func aHookThatFailsIsSaid() async throws {
            let hooks = "on_leader: [\"/nowhere/at/all\", x]\non_follower: [\"/bin/false\"]"
            try await ServerGroup.with(GroupSetup(servers: 1, isCluster: true, cluster: hooks, links: 1)) { group in
                let program = try group.servers[0].program
                try await eventually("both failures to be said") {
                    let lines = program.logLines.filter { $0.contains("hook failed") }
                    return lines.count == 2 && lines[0].contains("hook=on_follower") && lines[0].contains("end=\"exit code 1\"")
                        && lines[1].contains("hook=on_leader")
                        && lines[1].contains("cannot be started: No such file or directory")
                }
                try await group.accord(voters: group.servers)
            }
        }

        /// A program that writes down what it is told, and which variables it has.
        private static func writeHooks(_ group: ServerGroup) throws {
            let script = """
                #!/bin/sh
                names=$(tr '\\0' '\\n' < /proc/$$/environ | cut -d= -f1 | sort | tr '\\n' ',')
                echo "$1 $GOTUNNEL_ROLE $GOTUNNEL_TERM $names" >> \(group.folder.path)/hooks-$GOTUNNEL_SERVER

                """
            let path = try group.folder.write("hook", script, mode: 0o700)
            for server in group.servers {
                let file = "server-\(server.number).yaml"
                let lines = "    on_leader: [\"\(path)\", won]\n    on_follower: [\"\(path)\", lost]\n"
                try group.folder.write(file, group.folder.read(file) + lines)
            }
        }

        /// Waits for so many runs, and then for one more that must not come.
        private static func expect(_ server: GroupServer, _ group: ServerGroup, _ expected: [String]) async throws {
            let variables = "GOTUNNEL_ROLE,GOTUNNEL_SERVER,GOTUNNEL_TERM,PATH,"
            let wanted = expected.map { "\($0) \(variables)" }
            let (folder, name) = (group.folder, "hooks-\(server.name)")
            try await eventually("\(expected.count) runs of hooks at \(server.name)", within: .seconds(20)) {
                let lines = folder.read(name).split(separator: "\n").map(String.init)
                if lines != wanted { throw Unmet("\(lines)") }
                return true
            }
            try await eventually("the log of \(server.name) to count them") {
                try server.program.logLines.count { $0.contains("hook has run") } == expected.count
            }
        }
    }
}
