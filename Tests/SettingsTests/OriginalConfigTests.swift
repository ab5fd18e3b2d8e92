import Settings
import Testing

/// Every configuration of the original gotunnel's Kubernetes guide, word for word (shell substitutions done, as its shell does).
@Suite struct OriginalConfigTests {
    @Test(arguments: [
        """
        # config.yaml (Controller side)
        server:
          addr: "0.0.0.0:17000"  # Listen on all interfaces, allow public access
          log_level: "info"
          token: "your-very-secure-k8s-token-here"  # Use strong random token
        """,
        """
        # config.yaml (Controller side)
        server:
          addr: "0.0.0.0:17000"
          log_level: "info"
          token: "your-very-secure-k8s-token-here"
        """,
    ])
    func controllerOfBothSolutions(_ text: String) throws {
        let checked = try SettingsLoader.check(text: text, name: "config.yaml", in: surroundings())
        let settings = try #require(checked.server)
        #expect(settings.address.description == "0.0.0.0:17000")
        #expect(settings.log.level == .info)
        #expect(settings.tokens == [TokenSettings(source: .inline(Secret("your-very-secure-k8s-token-here")))])
        #expect(settings.services.isEmpty && settings.clients == nil && settings.cluster == nil)
        #expect(settings.exposures.bind.description == "127.0.0.1")
        #expect(
            checked.notices.map(\.rendered) == [
                "config.yaml:2: server: both ends must be this version: clients of the original gotunnel are not understood",
                "config.yaml:2: server: mapped ports listen on 127.0.0.1, where the original took every address; "
                    + "exposures: {bind: \"0.0.0.0\"} brings that back",
                "config.yaml:5: server.token: this token is weak, and a weak token is refused at start: put one here from "
                    + "openssl rand -hex 32 or gotunnelctl token new (the same on both ends), or write allow_weak_token: true",
            ])
    }

    @Test func controllerOfTheDeployment() throws {
        // The guide's heredoc, indented as in its list, after the shell ran openssl.
        let text = """
              server:
                addr: "0.0.0.0:17000"
                log_level: "info"
                token: "\(strongToken)"  # Generate random token
            """
        let checked = try SettingsLoader.check(text: text, name: "config.yaml", in: surroundings())
        #expect(checked.server?.tokens.first?.source == .inline(Secret(strongToken)))
        #expect(!checked.notices.contains { $0.text.contains("weak") })
        #expect(checked.notices.count == 2)
    }

    @Test(arguments: [
        """
        # config.yaml (Worker side)
        client:
          name: "k8s-worker-01"  # Node name, recommend using hostname
          token: "your-very-secure-k8s-token-here"  # Must match server
          server_addr: "your-controller-public-ip:17000"  # Controller's public IP
          local_ports: [6443]  # Map kube-apiserver port
        """,
        """
        # config.yaml (Worker side)
        client:
          name: "k8s-worker-01"  # Use hostname or node identifier
          token: "your-very-secure-k8s-token-here"
          server_addr: "your-controller-public-ip:17000"
          local_ports: [6443]  # Map Controller's 6443 to address accessible by Worker
        """,
        """
          # as the deployment's heredoc writes it
          client:
            name: "k8s-worker-01"  # Use hostname
            token: "your-very-secure-k8s-token-here"  # Must match server
            server_addr: "your-controller-public-ip:17000"
            local_ports: [6443]
        """,
    ])
    func workerOfBothSolutionsAndTheDeployment(_ text: String) throws {
        let checked = try SettingsLoader.check(text: text, name: "config.yaml", in: surroundings())
        let settings = try #require(checked.client)
        #expect(settings.name == "k8s-worker-01")
        #expect(settings.servers.map(\.description) == ["your-controller-public-ip:17000"])
        #expect(settings.token == .inline(Secret("your-very-secure-k8s-token-here")))
        let target = try #require(HostPort("127.0.0.1:6443"))
        #expect(settings.exposures == [ExposureSettings(name: "port-6443", target: target, remotePort: 10_022)])
        #expect(settings.forwards.isEmpty)
        #expect(
            checked.notices.map(\.rendered) == [
                "config.yaml:2: client: both ends must be this version: a server of the original gotunnel is not understood",
                "config.yaml:2: client: heartbeat_interval, heartbeat_timeout, health_check_interval: shorter by default than the "
                    + "original's 10s, 30s and 30s",
                "config.yaml:4: client.token: this token is weak, and a weak token is refused at start: put one here from "
                    + "openssl rand -hex 32 or gotunnelctl token new (the same on both ends), or write allow_weak_token: true",
                "config.yaml:6: client.local_ports: the server listens for it on 127.0.0.1 unless its exposures.bind says otherwise; "
                    + "the original took every address",
                "config.yaml:6: client.local_ports: 6443 here is this machine's own port, shown to the server; if its programs are to "
                    + "reach the controllers' kube-apiserver, write forwards: [{listen: \"127.0.0.1:6443\", service: apiserver}] instead",
            ])
    }

    @Test func theRecommendedFragmentLacksOnlyServerAndToken() {
        // Section IV of the guide shows these two lines alone, to be put into a whole file.
        let text = """
            # Worker side: Only map kube-apiserver port
            client:
              local_ports: [6443]  # Map Controller's 6443 port
            """
        #expect(
            problems(text) == [
                "config.yaml:2: client.server_addrs: there is no server to connect to; write server_addrs: [\"203.0.113.11:17000\"]",
                "config.yaml:2: client.token_file: there is no token; write token_file: /etc/gotunnel/token (gotunnelctl token new makes "
                    + "a token) or set $GOTUNNEL_TOKEN",
            ])
    }

    @Test func everyKeyOfTheOriginalKeepsItsMeaning() throws {
        let text = """
            server:
              addr: ":17000"
              token: \(strongToken)
              log_level: warn
              log_lang: zh
            client:
              name: K8s-Worker-01
              token: \(strongToken)
              server_addr: 203.0.113.11:17000
              local_ports: [22, 8080, 9090]
              remote_port: 20022
              heartbeat_interval: 10
              heartbeat_timeout: 30
              health_check_interval: 30
            """
        let checked = try SettingsLoader.check(text: text, name: "config.yaml", in: surroundings())
        let server = try #require(checked.server)
        #expect(server.address.description == "0.0.0.0:17000")
        #expect(server.log.level == .warning && server.log.language == .zh)
        let client = try #require(checked.client)
        #expect(client.name == "k8s-worker-01")
        #expect(client.exposures.map(\.name) == ["port-22", "port-8080", "port-9090"])
        #expect(client.exposures.map(\.target.description) == ["127.0.0.1:22", "127.0.0.1:8080", "127.0.0.1:9090"])
        #expect(client.exposures.map(\.remotePort) == [20_022, nil, nil])
        #expect(client.heartbeatInterval == .seconds(10))
        #expect(client.heartbeatTimeout == .seconds(30))
        #expect(client.healthCheckInterval == .seconds(30))
        #expect(
            checked.notices.map(\.rendered).contains(
                "config.yaml:10: client.local_ports: the original ignored all but the first; here the others are exposures too, without a "
                    + "mapped port: port-8080, port-9090"))
        #expect(
            checked.notices.map(\.rendered).contains(
                "config.yaml:5: server.log_lang: messages are English; log_lang changes nothing"))
    }

    @Test func aRemotePortOfZeroWasUnset() throws {
        let text = "client: {token: \(strongToken), server_addr: \"a:1\", local_ports: [22], remote_port: 0}"
        #expect(try client(text).exposures.map(\.remotePort) == [10_022])
    }

    @Test func theVariableOfTheGuideIsTheTokenWhenTheFileHasNone() throws {
        let around = surroundings(["GOTUNNEL_TOKEN": strongToken])
        let settings = try client("client: {name: a, server_addr: \"b:17000\"}", in: around)
        #expect(settings.token == .environment)
        #expect(try settings.token?.read(in: around) == Secret(strongToken))
        #expect(try server("server: {addr: \"0.0.0.0:17000\"}", in: around).tokens == [TokenSettings(source: .environment)])
    }
}
