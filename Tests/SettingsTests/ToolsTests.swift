import Settings
import Testing

@Suite struct ExampleTests {
    @Test(arguments: ConfigExamples.Kind.allCases)
    func loads(_ kind: ConfigExamples.Kind) throws {
        let files = MemoryFiles([
            "config.yaml": ConfigExamples.text(for: kind), "/etc/gotunnel/token": strongToken,
            "/etc/gotunnel/cluster-secret": otherToken,
        ])
        let checked = try SettingsLoader.check(path: "config.yaml", in: surroundings(files: files))
        switch kind {
        case .server:
            #expect(checked.server?.services.map(\.name) == ["apiserver"])
            #expect(checked.notices.isEmpty)
        case .client:
            #expect(checked.client?.exposures.map(\.name) == ["kubelet", "ssh"])
            #expect(checked.client?.servers.count == 3 && checked.client?.links == 2)
            #expect(checked.notices.isEmpty)
        case .cluster:
            #expect(checked.server?.cluster?.peers.count == 3)
        }
    }

    /// What is commented out must be right as well: each such key, taken in, gives a file that loads.
    @Test func loadsWithWhatIsCommentedOut() {
        // Names, state directories, pins: of both processes.
        #expect(ConfigExamples.Kind.allCases.reduce(0) { $0 + taken(from: $1) } >= 5)
    }

    /// Takes in one commented key after the other, and counts them.
    private func taken(from kind: ConfigExamples.Kind) -> Int {
        var count = 0
        let lines = ConfigExamples.text(for: kind).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for (index, line) in lines.enumerated() where line.hasPrefix("  # ") && line.contains(": ") && !line.hasPrefix("  #   ") {
            let key = line.dropFirst(4)
            // A key starts with a lower-case word and a colon; prose does not.
            guard key.prefix(while: { $0 != ":" }).allSatisfy({ $0.isLowercase || $0 == "_" }), !key.hasPrefix("tls"),
                !key.hasPrefix("or")
            else { continue }
            var changed = lines
            changed[index] = "  \(key)"
            #expect(problems(changed.joined(separator: "\n")).isEmpty, "\(line)")
            count += 1
        }
        return count
    }
}

@Suite struct MigrationTests {
    private func migrate(_ text: String, _ environment: [String: String] = [:]) throws -> ConfigMigration.Outcome {
        try ConfigMigration.migrate(text: text, name: "config.yaml", in: surroundings(environment))
    }

    @Test func aWorkerOfTheGuide() throws {
        let text = """
            client:
              name: "k8s-worker-01"
              token: "your-very-secure-k8s-token-here"
              server_addr: "your-controller-public-ip:17000"
              local_ports: [6443]
            """
        let outcome = try migrate(text)
        #expect(
            outcome.yaml == """
                client:
                  name: "k8s-worker-01"
                  token: "your-very-secure-k8s-token-here"
                  server_addrs: ["your-controller-public-ip:17000"]
                  exposures:
                    - {name: port-6443, target: "127.0.0.1:6443", remote_port: 10022}
                  # port-6443 shows this machine's own port 6443 to the server. If this is a worker whose programs are to reach the
                  # controllers' kube-apiserver, remove it and write this instead (the server needs the service apiserver):
                  # forwards:
                  #   - {listen: "127.0.0.1:6443", service: apiserver}

                """)
        #expect(outcome.remarks.contains { $0.contains("openssl rand -hex 32") && $0.contains("gotunnelctl token new") })
        #expect(outcome.remarks.contains { $0.contains("forward to the service apiserver") })
        #expect(!outcome.remarks.joined().contains("your-very"))
        #expect(try client(outcome.yaml).exposures == client(text).exposures)
    }

    @Test func everyKeyOfTheOriginalKeepsItsMeaning() throws {
        let text = """
            server: {addr: "0.0.0.0:17000", token: "a\\"b\\\\c", log_level: warn, log_lang: zh}
            client:
              name: Worker
              token: 'x#y'
              server_addr: 203.0.113.11:17000
              local_ports: [22, 8080]
              remote_port: 20022
              heartbeat_interval: 10
              heartbeat_timeout: 30
              health_check_interval: 90
            """
        let outcome = try migrate(text)
        let old = try SettingsLoader.check(text: text, name: "a", in: surroundings())
        let new = try SettingsLoader.check(text: outcome.yaml, name: "b", in: surroundings())
        var server = try #require(old.server)
        server.log.language = nil
        #expect(new.server == server)
        #expect(new.client == old.client)
        #expect(outcome.yaml.contains("heartbeat_interval: 10s") && outcome.yaml.contains("health_check_interval: 90s"))
        #expect(outcome.remarks.contains("server: log_lang is dropped; messages are English"))
    }

    @Test func theTokenOfTheVariableStaysThere() throws {
        let outcome = try migrate("client: {server_addr: \"a:1\"}", ["GOTUNNEL_TOKEN": strongToken])
        #expect(outcome.yaml == "client:\n  server_addrs: [\"a:1\"]\n")
        #expect(outcome.remarks.contains("client: the token still comes from $GOTUNNEL_TOKEN"))
    }

    @Test func aNewFileIsLeftAlone() throws {
        let text = ConfigExamples.text(for: .client)
        #expect(try migrate(text).yaml == text)
        #expect(try migrate(text).remarks == ["nothing to migrate: the file has keys that the original gotunnel did not have"])
    }

    @Test func aWrongFileIsRefused() {
        #expect(throws: SettingsError.self) { try migrate("client: {server_addr: a}") }
    }
}

@Suite struct SettingsChangeTests {
    @Test func nothingChanged() throws {
        let text = ConfigExamples.text(for: .server)
        #expect(SettingsChange.between(try server(text), try server(text)).isEmpty)
        let other = ConfigExamples.text(for: .client)
        #expect(SettingsChange.between(try client(other), try client(other)).isEmpty)
    }

    @Test func whatAServerCanAndCannotTakeOver() throws {
        let old = try server("server: {token: \(strongToken)}")
        let new = try server(
            """
            server:
              token: \(otherToken)
              name: other
              addr: "0.0.0.0:17001"
              state_dir: /s
              log_level: debug
              services: {a: {targets: ["b:1"]}}
              clients: {}
              exposures: {bind: "127.0.0.2", ports: [1]}
              limits: {clients: 1}
              admin: {addr: "127.0.0.1:1"}
            """)
        let change = SettingsChange.between(old, new)
        #expect(
            change.live == [
                "server.tokens", "server.log_level", "server.clients", "server.services", "server.exposures.ports",
                "server.limits.clients",
            ])
        #expect(
            change.needsRestart == ["server.name", "server.addr", "server.state_dir", "server.exposures.bind", "server.admin"])
    }

    @Test func whatAClientCanAndCannotTakeOver() throws {
        let old = try client("client: {token: \(strongToken), server_addr: \"a:1\"}")
        let new = try client(
            """
            client:
              token: \(otherToken)
              server_addrs: ["b:1", "c:1"]
              links: 3
              forwards: [{listen: "127.0.0.1:1", service: a}]
              exposures: [{name: a, target: "b:1"}]
              heartbeat_interval: 2s
              limits: {memory_budget: 64MiB}
            """)
        let change = SettingsChange.between(old, new)
        #expect(
            change.live == [
                "client.token", "client.server_addrs", "client.links", "client.forwards", "client.exposures",
                "client.limits.memory_budget",
            ])
        #expect(change.needsRestart == ["client.heartbeat_interval", "client.heartbeat_timeout"])
    }

    /// What servers announce is taken over; whether there is a cluster, and the rest of it, is not.
    @Test func whatAServerAnnouncesIsTakenOver() throws {
        func settings(_ rest: String) throws -> ServerSettings { try server("server: {token: \(strongToken), \(rest)}") }
        let old = try settings("advertise: [\"a:1\"], cluster: {peers: [\"b:1\"], secret: \(otherToken)}")
        let others = try settings("advertise: [\"a:2\"], cluster: {peers: [\"b:1\", \"c:1\"], secret: \(otherToken)}")
        let announced = SettingsChange.between(old, others)
        #expect(announced.live == ["server.advertise", "server.cluster.peers"] && announced.needsRestart.isEmpty)
        let both = try settings(
            "advertise: [\"a:1\"], cluster: {peers: [\"c:1\"], secret: \(otherToken), election_timeout: 2s}")
        let mixed = SettingsChange.between(old, both)
        #expect(mixed.live == ["server.cluster.peers"] && mixed.needsRestart == ["server.cluster"])
        let alone = try settings("advertise: [\"a:1\"]")
        for change in [SettingsChange.between(old, alone), SettingsChange.between(alone, old)] {
            #expect(change.live.isEmpty && change.needsRestart == ["server.cluster"])
        }
    }
}
