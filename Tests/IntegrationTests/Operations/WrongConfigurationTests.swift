import Testing

/// One wrong line of a section, and what the program must say about it after the file's name.
struct WrongSetting: Sendable, CustomTestStringConvertible {
    let line: String
    let says: String
    var testDescription: String { line }

    init(_ line: String, _ says: String) {
        self.line = line
        self.says = says
    }
}

extension Integration {
    /// Wrong configurations: exit code 78, one exact line that says where and how to mend it, and nothing has been started.
    @Suite struct WrongConfigurationTests {
        private static let server: [WrongSetting] = [
            .init("drain_timout: 1s", "3: server.drain_timout: unknown key; did you mean drain_timeout?"),
            .init("server_addr: \"a:1\"", "3: server.server_addr: unknown key; write it under client:"),
            .init(
                "services: {apiserver: {}}",
                "3: server.services.apiserver.targets: a service needs a target; write targets: [\"127.0.0.1:6443\"]"),
            .init(
                "services: {a: {targets: [\"127.0.0.1\"]}}",
                "3: server.services.a.targets[0]: \"127.0.0.1\": it has no port; write \"127.0.0.1:6443\""),
            .init(
                "services: {a: {targets: [\"a:1\", \"a:1\"]}}",
                "3: server.services.a.targets[1]: the target a:1 is already used by server.services.a.targets[0] on line 3; remove one of the two"
            ),
            .init(
                "services: {api_server: {targets: [\"a:1\"]}}",
                "3: server.services.api_server: \"api_server\" is no name (letters, digits and hyphens, at most 63 bytes); write api-server:"
            ),
            .init(
                "services: {a: {targets: [\"a:1\"], health: {type: htps}}}",
                "3: server.services.a.health.type: expected one of tcp, http, https, found \"htps\"; write type: https"),
            .init(
                "services: {a: {targets: [\"a:1\"], health: {type: http, path: readyz}}}",
                "3: server.services.a.health.path: expected a path that starts with /, found \"readyz\"; write path: /readyz"),
            .init(
                "services: {a: {targets: [\"a:1\"], health: {type: tcp, path: /}}}",
                "3: server.services.a.health.path: a tcp check has no path; write type: https or remove path"),
            .init(
                "clients: {\"k8s *\": {}}",
                "3: server.clients.\"k8s *\": expected a client name or a pattern such as k8s-*, found \"k8s *\"; use letters, digits, hyphens, dots and *"
            ),
            .init(
                "clients: {\"k8s-*\": {ports: [\"20999-20000\"]}}",
                "3: server.clients.\"k8s-*\".ports[0]: the range \"20999-20000\" ends before it starts; write \"20000-20999\""),
            .init(
                "clients: {\"k8s-*\": {routes: [\"10.0.0.0/8\"]}}",
                "3: server.clients.\"k8s-*\".routes: not built yet; write routes: [] or remove it"),
            .init(
                "clients: {\"k8s-*\": {service: [a]}}", "3: server.clients.\"k8s-*\".service: unknown key; did you mean services?"
            ),
            .init(
                "exposures: {bind: localhost}",
                "3: server.exposures.bind: expected an IP address, found \"localhost\"; write bind: \"127.0.0.1\""),
            .init(
                "exposures: {ports: [0]}",
                "3: server.exposures.ports[0]: expected a port or a range of ports, found 0; write \"20000-20999\""),
            .init(
                "egress: {socket: /run/gotunnel/egress.sock}",
                "3: server.egress: not built yet; remove it (exposures with a remote_port reach the clients)"),
            .init(
                "cluster: {peers: [\"a:1\"], secret: \(otherToken), engine: etcd}",
                "3: server.cluster.engine: not built yet; write engine: embedded"),
            .init(
                "limits: {clients: 0}",
                "3: server.limits.clients: expected a whole number from 1 to 1000000, found 0; write clients: 10000"),
            .init("limits: {client: 1}", "3: server.limits.client: unknown key; did you mean clients?"),
            .init(
                "drain_timeout: -1s",
                "3: server.drain_timeout: expected a duration from 0s to 24h, found \"-1s\"; write drain_timeout: 30s"),
            .init(
                "dial_timeout: soon",
                "3: server.dial_timeout: expected a duration from 10ms to 5m, found \"soon\"; write dial_timeout: 3s"),
            .init(
                "log_level: verbos",
                "3: server.log_level: expected one of trace, debug, info, notice, warning, error, critical, found \"verbos\"; write log_level: info"
            ),
            .init(
                "tls: {certificate: /none/a.crt}",
                "3: server.tls.certificate: cannot read /none/a.crt: there is no such file; create it or mend the path"),
            .init(
                "addr: a: b",
                "3: not valid YAML: mapping values are not allowed in this context; quote text that holds a colon and a space, or mend the indentation"
            ),
        ]

        private static let client: [WrongSetting] = [
            .init("links: two", "3: client.links: expected a whole number from 1 to 8, found \"two\"; write links: 2"),
            .init("links:", "3: client.links: it has no value; write links: 2, or remove the line"),
            .init("lnks: 2", "3: client.lnks: unknown key; did you mean links?"),
            .init("services: {}", "3: client.services: unknown key; write it under server:"),
            .init("tokens: []", "3: client.tokens: unknown key; write it under server:"),
            .init(
                "heartbeat_timeout: 1d",
                "3: client.heartbeat_timeout: expected a duration from 50ms to 1h, found \"1d\"; write heartbeat_timeout: 4s"),
            .init(
                "replay_buffer: 16MB",
                "3: client.replay_buffer: expected a size from 128KiB to 1GiB, found \"16MB\"; write replay_buffer: 16MiB"),
            .init(
                "limits: {memory_budget: 8MiB}",
                "3: client.limits.memory_budget: 8MiB is less than replay_buffer, 16MiB; write memory_budget: 16MiB or more"),
            .init(
                "allow_weak_token: yes",
                "3: client.allow_weak_token: expected true or false, found \"yes\"; write allow_weak_token: true"),
            .init(
                "server_addr: \"a:1\"",
                "3: client.server_addr: server_addr and server_addrs are both given; move it into server_addrs"),
            .init(
                "token_file: /etc/gotunnel/token",
                "3: client.token_file: token and token_file are both given; remove one of the two"),
            .init(
                "forwards: [apiserver]",
                "3: client.forwards[0]: expected a mapping, found \"apiserver\"; write {listen: \"127.0.0.1:6443\", service: apiserver}"
            ),
            .init(
                "forwards: [{listen: \"127.0.0.1:6443\"}]",
                "3: client.forwards[0].service: a forward needs a service; write service: apiserver"),
            .init(
                "forwards: [{listen: 6443, service: a}]",
                "3: client.forwards[0].listen: \"6443\": it has no port; write listen: \"127.0.0.1:6443\""),
            .init(
                "forwards: [{listen: [\"127.0.0.1:6443\", \"0.0.0.0:6443\"], service: b}]",
                "3: client.forwards[0].listen[1]: the address 0.0.0.0:6443 is already used by client.forwards[0].listen[0] on line 3; give each listener an address or port of its own"
            ),
            .init(
                "exposures: [{name: a, target: \"::1:22\"}]",
                "3: client.exposures[0].target: \"::1:22\": an IPv6 address needs brackets; write target: \"[fd00::1]:22\""),
            .init(
                "exposures: [{name: a, target: \"h:70000\"}]",
                "3: client.exposures[0].target: \"h:70000\": its port is not a number from 1 to 65535; write target: \"127.0.0.1:10250\""
            ),
            .init(
                "exposures: [{name: a, target: \"b:1\"}, {name: A, target: \"b:2\"}]",
                "3: client.exposures[1].name: the name a is already used by client.exposures[0].name on line 3; choose another name"
            ),
            .init(
                "exposures: [{name: a, target: \"b:1\", remote_port: 1}, {name: c, target: \"b:2\", remote_port: 1}]",
                "3: client.exposures[1].remote_port: the mapped port 1 is already used by client.exposures[0].remote_port on line 3; choose another port"
            ),
            .init("local_ports: 22", "3: client.local_ports: expected a list, found 22; write local_ports: [22]"),
            .init(
                "remote_port: 65536",
                "3: client.remote_port: expected a whole number from 0 to 65535, found 65536; write remote_port: 20022"),
            .init(
                "server_pins: [abcd]",
                "3: client.server_pins[0]: expected the SHA-256 of a certificate (64 hex digits), found \"abcd\"; write the pin from gotunnelctl token join"
            ),
            .init("routes: [\"10.0.0.0/8\"]", "3: client.routes: not built yet; write routes: [] or remove it"),
            .init(
                "mirror_addresses: true", "3: client.mirror_addresses: not built yet; write mirror_addresses: false or remove it"),
        ]

        @Test(arguments: server)
        func inAServer(_ wrong: WrongSetting) async throws {
            try await Self.expect(wrong, try Programs.server, "server", "addr") { "\($0)" }
        }

        @Test(arguments: client)
        func inAClient(_ wrong: WrongSetting) async throws {
            try await Self.expect(wrong, try Programs.client, "client", "server_addrs") { "[\"\($0)\"]" }
        }

        private static func expect(
            _ wrong: WrongSetting, _ program: String, _ section: String, _ key: String, _ value: (String) -> String
        ) async throws {
            try await TemporaryFolder.with { folder in
                let port = try FreePorts.one()
                let address = wrong.line.hasPrefix("\(key):") ? "" : "  \(key): \(value("127.0.0.1:\(port)"))\n"
                let rest = "  state_dir: \"\(folder["state"])\"\n  admin: {socket: \"\(folder["a.sock"])\"}\n"
                let text = "\(section):\n  token: \(sampleToken)\n  \(wrong.line)\n\(address)\(rest)"
                let path = try folder.write("config.yaml", text)
                let result = try await run(program, ["--config", path], within: .seconds(10))
                #expect(result.end == .exit(78), "\(result)")
                #expect(result.errorLines.first == "\(path):\(wrong.says)")
                #expect(result.output == "")
                #expect(!folder.has("state") && !folder.has("a.sock") && !isListening(port), "expected that nothing was started")
                #expect(!result.errors.contains(sampleToken), "expected the token to stay out of the message")
            }
        }
    }
}
