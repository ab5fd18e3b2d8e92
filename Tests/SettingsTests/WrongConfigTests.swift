import Settings
import Testing

/// One wrong line in an otherwise right section, and the exact line that says so.
struct WrongLine: Sendable, CustomTestStringConvertible {
    let yaml: String
    let says: String
    var testDescription: String { yaml }

    init(_ yaml: String, _ says: String) {
        self.yaml = yaml
        self.says = says
    }
}

@Suite struct WrongConfigTests {
    private static let client: [WrongLine] = [
        WrongLine("links: two", "3: client.links: expected a whole number from 1 to 8, found \"two\"; write links: 2"),
        WrongLine("links: 0", "3: client.links: expected a whole number from 1 to 8, found 0; write links: 2"),
        WrongLine("links: 9", "3: client.links: expected a whole number from 1 to 8, found 9; write links: 2"),
        WrongLine("links: \"2\"", "3: client.links: expected a whole number from 1 to 8, found \"2\"; write links: 2"),
        WrongLine("links: [2]", "3: client.links: expected a whole number from 1 to 8, found a list; write links: 2"),
        WrongLine("links:", "3: client.links: it has no value; write links: 2, or remove the line"),
        WrongLine("lnks: 2", "3: client.lnks: unknown key; did you mean links?"),
        WrongLine("services: {}", "3: client.services: unknown key; write it under server:"),
        WrongLine(
            "heartbeat_timeout: soon",
            "3: client.heartbeat_timeout: expected a duration from 50ms to 1h, found \"soon\"; write heartbeat_timeout: 4s"),
        WrongLine(
            "heartbeat_timeout: 1d",
            "3: client.heartbeat_timeout: expected a duration from 50ms to 1h, found \"1d\"; write heartbeat_timeout: 4s"),
        WrongLine(
            "dial_timeout: 5", "3: client.dial_timeout: expected a duration from 10ms to 5m, found 5; write dial_timeout: 5s"),
        WrongLine(
            "{heartbeat_interval: 4s, heartbeat_timeout: 4s}",
            "3: client.heartbeat_timeout: it is not longer than heartbeat_interval, 4s; write heartbeat_timeout: 16s"),
        WrongLine(
            "replay_buffer: 16MB",
            "3: client.replay_buffer: expected a size from 128KiB to 1GiB, found \"16MB\"; write replay_buffer: 16MiB"),
        WrongLine(
            "limits: {memory_budget: 8MiB}",
            "3: client.limits.memory_budget: 8MiB is less than replay_buffer, 16MiB; write memory_budget: 16MiB or more"),
        WrongLine(
            "name: my_worker",
            "3: client.name: \"my_worker\" is no name (letters, digits, hyphens and dots, at most 200 bytes); write name: my-worker"
        ),
        WrongLine(
            "log_level: verbos",
            "3: client.log_level: expected one of trace, debug, info, notice, warning, error, critical, found \"verbos\"; write log_level: info"
        ),
        WrongLine(
            "log_level: debgu",
            "3: client.log_level: expected one of trace, debug, info, notice, warning, error, critical, found \"debgu\"; write log_level: debug"
        ),
        WrongLine(
            "allow_weak_token: yes",
            "3: client.allow_weak_token: expected true or false, found \"yes\"; write allow_weak_token: true"),
        WrongLine(
            "server_addr: \"a:1\"",
            "3: client.server_addr: server_addr and server_addrs are both given; move it into server_addrs"),
        WrongLine(
            "token_file: /etc/gotunnel/token", "3: client.token_file: token and token_file are both given; remove one of the two"),
        WrongLine(
            "forwards: {listen: \"127.0.0.1:1\"}",
            "3: client.forwards: expected a list, found a mapping; write forwards: [{listen: \"127.0.0.1:6443\", service: apiserver}]"
        ),
        WrongLine(
            "forwards: [apiserver]",
            "3: client.forwards[0]: expected a mapping, found \"apiserver\"; write {listen: \"127.0.0.1:6443\", service: apiserver}"
        ),
        WrongLine(
            "forwards: [{listen: \"127.0.0.1:6443\"}]",
            "3: client.forwards[0].service: a forward needs a service; write service: apiserver"),
        WrongLine(
            "forwards: [{listen: [], service: a}]",
            "3: client.forwards[0].listen: a forward needs an address to listen on; write listen: \"127.0.0.1:6443\""),
        WrongLine(
            "forwards: [{listen: 6443, service: a}]",
            "3: client.forwards[0].listen: \"6443\": it has no port; write listen: \"127.0.0.1:6443\""),
        WrongLine(
            "forwards: [{listen: \"127.0.0.1:6443\", service: a}, {listen: [\"127.0.0.2:6443\", \"0.0.0.0:6443\"], service: b}]",
            "3: client.forwards[1].listen[1]: the address 0.0.0.0:6443 is already used by client.forwards[0].listen on line 3; give each listener an address or port of its own"
        ),
        WrongLine(
            "exposures: [{name: a, target: \"127.0.0.1\"}]",
            "3: client.exposures[0].target: \"127.0.0.1\": it has no port; write target: \"127.0.0.1:10250\""),
        WrongLine(
            "exposures: [{name: a, target: \"::1:22\"}]",
            "3: client.exposures[0].target: \"::1:22\": an IPv6 address needs brackets; write target: \"[fd00::1]:22\""),
        WrongLine(
            "exposures: [{name: a, target: \"h:70000\"}]",
            "3: client.exposures[0].target: \"h:70000\": its port is not a number from 1 to 65535; write target: \"127.0.0.1:10250\""
        ),
        WrongLine(
            "exposures: [{name: a, target: \"10.0.0.256:22\"}]",
            "3: client.exposures[0].target: \"10.0.0.256:22\": its host is neither a name nor an IP address; write target: \"10.0.0.11:22\""
        ),
        WrongLine(
            "exposures: [{name: a, target: \"b:1\"}, {name: A, target: \"b:2\"}]",
            "3: client.exposures[1].name: the name a is already used by client.exposures[0].name on line 3; choose another name"),
        WrongLine(
            "exposures: [{name: a, target: \"b:1\", remote_port: 1}, {name: c, target: \"b:2\", remote_port: 1}]",
            "3: client.exposures[1].remote_port: the mapped port 1 is already used by client.exposures[0].remote_port on line 3; choose another port"
        ),
        WrongLine(
            "local_ports: [22, 22]",
            "3: client.local_ports[1]: the name port-22 is already used by client.local_ports[0] on line 3; choose another name"),
        WrongLine("local_ports: 22", "3: client.local_ports: expected a list, found 22; write local_ports: [22]"),
        WrongLine(
            "remote_port: 65536",
            "3: client.remote_port: expected a whole number from 0 to 65535, found 65536; write remote_port: 20022"),
        WrongLine("routes: [\"10.0.0.0/8\"]", "3: client.routes: not built yet; write routes: [] or remove it"),
        WrongLine(
            "mirror_allow: [\"10.0.0.1/8\"]",
            "3: client.mirror_allow[0]: \"10.0.0.1/8\" has bits set after the first 8; write \"10.0.0.0/8\""),
        WrongLine(
            "mirror_allow: [\"10.0.0.1\"]",
            "3: client.mirror_allow[0]: expected a range of addresses, found \"10.0.0.1\"; write \"10.0.0.1/32\""),
        WrongLine(
            "mirror_addresses: true", "3: client.mirror_addresses: not built yet; write mirror_addresses: false or remove it"),
        WrongLine(
            "server_pins: [abcd]",
            "3: client.server_pins[0]: expected the SHA-256 of a certificate (64 hex digits), found \"abcd\"; write the pin from gotunnelctl token join"
        ),
        WrongLine(
            "addresses: [\"10.1.0.5\", \"10.1.0.5\"]",
            "3: client.addresses[1]: the address 10.1.0.5 is already used by client.addresses[0] on line 3; remove one of the two"
        ),
        WrongLine(
            "resume_window: [30s, 5s]",
            "3: client.resume_window: expected two durations, the shorter one first; write resume_window: [5s, 30s]"),
        WrongLine("resume_window: 5s", "3: client.resume_window: expected a list, found \"5s\"; write resume_window: [5s, 30s]"),
        WrongLine(
            "admin: /run/a.sock",
            "3: client.admin: expected a mapping (key: value), found \"/run/a.sock\"; write its keys below it, indented"),
        WrongLine(
            "admin: {addr: \"[::1\"}",
            "3: client.admin.addr: \"[::1\": an IPv6 address needs brackets; write addr: \"[fd00::1]:1\""),
        WrongLine("tokens: []", "3: client.tokens: unknown key; write it under server:"),
    ]

    @Test(arguments: client)
    func inAClient(_ wrong: WrongLine) {
        // A case in braces stands for several keys, one a line.
        let keys =
            wrong.yaml.hasPrefix("{")
            ? wrong.yaml.dropFirst().dropLast().split(separator: ", ").joined(separator: "\n  ") : wrong.yaml
        let lines = wrong.yaml.hasPrefix("{") ? wrong.says.replacingFirst("3:", "4:") : wrong.says
        let text = "client:\n  token: \(strongToken)\n  \(keys)\n  server_addrs: [\"203.0.113.11:17000\"]\n"
        #expect(problems(text) == ["config.yaml:\(lines)"])
    }

    private static let server: [WrongLine] = [
        WrongLine("addr: 17000", "3: server.addr: \"17000\": it has no port; write addr: \"0.0.0.0:17000\""),
        WrongLine("addrs: \"a:1\"", "3: server.addrs: unknown key; did you mean addr?"),
        WrongLine("server_addr: \"a:1\"", "3: server.server_addr: unknown key; write it under client:"),
        WrongLine(
            "admin: {addr: \"127.0.0.1:17000\"}",
            "3: server.admin.addr: the address 127.0.0.1:17000 is already used by server.addr on line 1; give each listener a port of its own"
        ),
        WrongLine(
            "advertise: [\"a:1\", \"A:1\"]",
            "3: server.advertise[1]: the address a:1 is already used by server.advertise[0] on line 3; remove one of the two"),
        WrongLine(
            "tokens: [{id: a, token: \(otherToken)}]", "2: server.token: token and tokens are both given; move it into tokens"),
        WrongLine(
            "tls: {certificate: /a.crt}",
            "3: server.tls.key: certificate and key go together; write key: and the path of its PEM file"),
        WrongLine(
            "clients: {\"k8s *\": {}}",
            "3: server.clients.\"k8s *\": expected a client name or a pattern such as k8s-*, found \"k8s *\"; use letters, digits, hyphens, dots and *"
        ),
        WrongLine(
            "clients: {\"k8s-*\": {ports: [\"20999-20000\"]}}",
            "3: server.clients.\"k8s-*\".ports[0]: the range \"20999-20000\" ends before it starts; write \"20000-20999\""),
        WrongLine(
            "clients: {\"k8s-*\": {routes: [\"10.0.0.0/8\"]}}",
            "3: server.clients.\"k8s-*\".routes: not built yet; write routes: [] or remove it"),
        WrongLine(
            "clients: {\"k8s-*\": {service: [a]}}", "3: server.clients.\"k8s-*\".service: unknown key; did you mean services?"),
        WrongLine(
            "services: {apiserver: {}}",
            "3: server.services.apiserver.targets: a service needs a target; write targets: [\"127.0.0.1:6443\"]"),
        WrongLine(
            "services: {api_server: {targets: [\"a:1\"]}}",
            "3: server.services.api_server: \"api_server\" is no name (letters, digits and hyphens, at most 63 bytes); write api-server:"
        ),
        WrongLine(
            "services: {a: {targets: [\"a:1\", \"a:1\"]}}",
            "3: server.services.a.targets[1]: the target a:1 is already used by server.services.a.targets[0] on line 3; remove one of the two"
        ),
        WrongLine(
            "services: {a: {targets: [\"a:1\"], health: {type: htps}}}",
            "3: server.services.a.health.type: expected one of tcp, http, https, found \"htps\"; write type: https"),
        WrongLine(
            "services: {a: {targets: [\"a:1\"], health: {type: http, path: readyz}}}",
            "3: server.services.a.health.path: expected a path that starts with /, found \"readyz\"; write path: /readyz"),
        WrongLine(
            "services: {a: {targets: [\"a:1\"], health: {type: tcp, path: /}}}",
            "3: server.services.a.health.path: a tcp check has no path; write type: https or remove path"),
        WrongLine(
            "exposures: {bind: localhost}",
            "3: server.exposures.bind: expected an IP address, found \"localhost\"; write bind: \"127.0.0.1\""),
        WrongLine(
            "exposures: {ports: [0]}",
            "3: server.exposures.ports[0]: expected a port or a range of ports, found 0; write \"20000-20999\""),
        WrongLine(
            "egress: {socket: /run/gotunnel/egress.sock}",
            "3: server.egress: not built yet; remove it (exposures with a remote_port reach the clients)"),
        WrongLine(
            "cluster: {peers: [\"a:1\"], secret: \(otherToken), engine: etcd}",
            "3: server.cluster.engine: not built yet; write engine: embedded"),
        WrongLine(
            "cluster: {peers: [\"a:1\"], secret: \(otherToken), engine: {etcd: {endpoints: []}}}",
            "3: server.cluster.engine: not built yet; write engine: embedded"),
        WrongLine(
            "cluster: {peers: [\"a:1\"]}",
            "3: server.cluster.secret_file: peers need a secret to know each other by; write secret_file: /etc/gotunnel/cluster-secret (openssl rand -hex 32 makes one)"
        ),
        WrongLine(
            "cluster: {secret: \(otherToken)}",
            "3: server.cluster.peers: a cluster needs its voters, the same list on all servers; write peers: [\"10.0.0.11:17000\", \"10.0.0.12:17000\", \"10.0.0.13:17000\"]"
        ),
        WrongLine(
            "cluster: {peers: [\"a:1\", \"a:1\"], secret: \(otherToken)}",
            "3: server.cluster.peers[1]: the peer a:1 is already used by server.cluster.peers[0] on line 3; remove one of the two"
        ),
        WrongLine(
            "cluster: {peers: [\"a:1\"], secret: \(strongToken)}",
            "1: server.cluster: a cluster secret is the same as a token; make another with openssl rand -hex 32"),
        WrongLine(
            "limits: {clients: 0}",
            "3: server.limits.clients: expected a whole number from 1 to 1000000, found 0; write clients: 10000"),
        WrongLine("limits: {client: 1}", "3: server.limits.client: unknown key; did you mean clients?"),
        WrongLine(
            "drain_timeout: -1s",
            "3: server.drain_timeout: expected a duration from 0s to 24h, found \"-1s\"; write drain_timeout: 30s"),
        WrongLine("state_dir: \"\"", "3: server.state_dir: expected a path, found \"\"; write state_dir: /var/lib/gotunnel"),
        WrongLine("<<: {addr: \"a:1\"}", "3: server.\"<<\": unknown key; write the keys out: YAML merges are not supported"),
    ]

    /// Lists that could not be sent whole are refused here, in one line each, not cut on the way.
    @Test func moreThanTheProtocolHolds() {
        func addresses(_ count: Int) -> String { (1...count).map { "\"10.0.0.\($0):17000\"" }.joined(separator: ", ") }
        func exposures(_ count: Int) -> String {
            (1...count).map { "{name: e\($0), target: \"a:\($0)\"}" }.joined(separator: ", ")
        }
        let services = (1...201).map { "s\($0): {targets: [\"a:\($0)\"]}" }.joined(separator: ", ")
        let client = "client:\n  token: \(strongToken)\n"
        let server = "server:\n  token: \(strongToken)\n"
        #expect(
            problems(client + "  server_addrs: [\(addresses(65))]\n") == [
                "config.yaml:3: client.server_addrs: expected at most 64 items, found 65; remove some"
            ])
        #expect(
            problems(client + "  server_addr: \"a:1\"\n  exposures: [\(exposures(255))]\n") == [
                "config.yaml:4: client.exposures: expected at most 254 items, found 255; remove some"
            ])
        #expect(
            problems(client + "  server_addr: \"a:1\"\n  local_ports: [22]\n  exposures: [\(exposures(254))]\n") == [
                "config.yaml:5: client.exposures: expected at most 254 together with local_ports, found 255; remove some"
            ])
        #expect(
            problems(server + "  services: {\(services)}\n") == [
                "config.yaml:3: server.services: expected at most 200 services, found 201; remove some"
            ])
        #expect(
            problems(server + "  advertise: [\(addresses(9))]\n") == [
                "config.yaml:3: server.advertise: expected at most 8 items, found 9; remove some"
            ])
        #expect(
            problems(server + "  cluster: {secret: \(otherToken), peers: [\(addresses(65))]}\n") == [
                "config.yaml:3: server.cluster.peers: expected at most 64 items, found 65; remove some"
            ])
    }

    @Test(arguments: server)
    func inAServer(_ wrong: WrongLine) {
        #expect(problems("server:\n  token: \(strongToken)\n  \(wrong.yaml)\n") == ["config.yaml:\(wrong.says)"])
    }

    private static let files: [WrongLine] = [
        WrongLine("", "1: the file holds no settings; start from gotunnelctl config example server (or client)"),
        WrongLine("# nothing\n", "1: the file holds no settings; start from gotunnelctl config example server (or client)"),
        WrongLine("[]", "1: expected a mapping (key: value), found a list; write its keys below it, indented"),
        WrongLine("hello", "1: expected a mapping (key: value), found \"hello\"; write its keys below it, indented"),
        WrongLine("{}", "1: neither a server nor a client section; see gotunnelctl config example server (or client)"),
        WrongLine("sever:\n  addr: \"a:1\"\n", "1: sever: unknown key; did you mean server?"),
        WrongLine("server_addr: \"a:1\"\n", "1: server_addr: unknown key; write it under client:"),
        WrongLine(
            "server:\n\taddr: \"a:1\"\n",
            "2: not valid YAML: found character that cannot start any token; indent with spaces, not tabs, and quote text that starts with @ or `"
        ),
        WrongLine(
            "server:\n  addr: \"a:1\n",
            "3: not valid YAML: found unexpected end of stream; compare it with gotunnelctl config example"),
        WrongLine(
            "server:\n  addr: a: b\n",
            "2: not valid YAML: mapping values are not allowed in this context; quote text that holds a colon and a space, or mend the indentation"
        ),
        WrongLine(
            "server: {addr: [}\n",
            "1: not valid YAML: did not find expected node content; mend the indentation, quotes or brackets here or just above"),
        WrongLine("server: *a\n", "1: not valid YAML: found undefined alias; quote text that starts with *"),
        WrongLine(
            "server: {}\n---\nclient: {}\n",
            "2: not valid YAML: but found another document; keep one document in the file (no second ---)"),
        WrongLine("server: {}\n\u{1}\n", "2: not valid YAML: control characters are not allowed; remove the control characters"),
        WrongLine("? [a]\n: b\n", "1: a key that is a list or a mapping; keys are plain words"),
        WrongLine(
            "server:\n  token: \(strongToken)\n  name: a\n  addr: \"a:1\"\n  name: b\n",
            "5: server.name: this key is already on line 3; remove one of the two"),
        WrongLine(
            "client:\n  {token: \(strongToken), server_addr: \"a:1\", links: 1,\n  \"links\": 1}\n",
            "3: client.links: this key is already on line 2; remove one of the two"),
    ]

    @Test(arguments: files)
    func inAFile(_ wrong: WrongLine) {
        #expect(problems(wrong.yaml) == ["config.yaml:\(wrong.says)"])
    }

    @Test func withWindowsLineEndsTheLinesAreTheSame() {
        let text = "\u{feff}client:\r\n  token: \(strongToken)\r\n  server_addr: \"a:1\"\r\n  links: x\r\n  links: 2\r\n"
        #expect(problems(text) == ["config.yaml:5: client.links: this key is already on line 4; remove one of the two"])
    }

    @Test func theSameKeyThreeTimesIsReportedTwice() {
        let text = "client:\n  token: \(strongToken)\n  server_addr: \"a:1\"\n  links: 1\n  links: 1\n  name: a\n  links: 1\n"
        #expect(
            problems(text) == [
                "config.yaml:5: client.links: this key is already on line 4; remove one of the two",
                "config.yaml:7: client.links: this key is already on line 4; remove one of the two",
            ])
    }

    @Test func everyProblemOfAFileIsReportedInOrder() {
        let text = """
            server:
              token: \(strongToken)
              adr: "0.0.0.0:17000"
              drain_timeout: never
              services:
                apiserver: {targets: ["127.0.0.1"]}
            client:
              server_addr: nowhere
              local_ports: [0]
            """
        #expect(
            problems(text) == [
                "config.yaml:3: server.adr: unknown key; did you mean addr?",
                "config.yaml:4: server.drain_timeout: expected a duration from 0s to 24h, found \"never\"; write drain_timeout: 30s",
                "config.yaml:6: server.services.apiserver.targets[0]: \"127.0.0.1\": it has no port; write \"127.0.0.1:6443\"",
                "config.yaml:7: client.token_file: there is no token; write token_file: /etc/gotunnel/token (gotunnelctl token new makes a "
                    + "token) or set $GOTUNNEL_TOKEN",
                "config.yaml:8: client.server_addr: \"nowhere\": it has no port; write server_addr: \"nowhere:17000\"",
                "config.yaml:9: client.local_ports[0]: expected a whole number from 1 to 65535, found 0; write 22",
            ])
    }

    @Test func noMoreThanTwentyAreListed() {
        let keys = (0..<60).map { "  zzzzzz\($0): 1\n" }.joined()
        let lines = problems("server:\n  token: \(strongToken)\n\(keys)")
        #expect(lines.count == 21)
        #expect(lines.last == "config.yaml: 40 more problems; mend these first")
    }

    @Test func tokensOfAListNeedDifferentIds() {
        let text = """
            server:
              tokens:
                - {id: a, token: \(strongToken)}
                - {id: A, token: \(otherToken)}
                - {token: \(otherToken)}
                - {id: c, clients: ["x y"]}
            """
        #expect(
            problems(text) == [
                "config.yaml:4: server.tokens[1].id: the id a is already used by server.tokens[0].id on line 3; choose another id",
                "config.yaml:5: server.tokens[2].id: a token of a list needs an id; write id: worker-1",
                "config.yaml:6: server.tokens[3].token_file: there is no token; write token_file: /etc/gotunnel/worker-1.token",
                "config.yaml:6: server.tokens[3].clients[0]: expected a name or a pattern such as k8s-*, found \"x y\"; write \"k8s-*\"",
            ])
    }

    @Test func aCertificateAndATokenAreNotMixed() {
        let text = """
            client:
              server_addr: "a:1"
              token: \(strongToken)
              tls: {certificate: /c.crt, key: /c.key}
            """
        #expect(
            problems(text) == [
                "config.yaml:4: client.tls.ca: certificate, key and ca go together; write ca: and the path of its PEM file",
                "config.yaml:4: client.tls: a token and a certificate are both given: a client authenticates by one of them; "
                    + "remove tls or the token",
            ])
    }

    @Test func aHostWithoutAUsableNameNeedsOneInTheFile() {
        let text = "client: {token: \(strongToken), server_addr: \"a:1\"}"
        #expect(
            problems(text, in: surroundings(host: "My_Host")) == [
                "config.yaml:1: client.name: it is not given, and the host's name \"My_Host\" is no name; write name: my-host"
            ])
    }
}

extension String {
    /// With the first `old` replaced; the whole if there is none.
    fileprivate func replacingFirst(_ old: String, _ new: String) -> String {
        guard let range = self.firstRange(of: old) else { return self }
        return replacingCharacters(in: range, with: new)
    }

    private func replacingCharacters(in range: Range<String.Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
    }
}
