import Settings
import Testing

/// The whole documented file, key by key, and what applies when keys are left out.
@Suite struct FullConfigTests {
    private static let serverText = """
        server:
          name: controller-1
          addr: "0.0.0.0:17000"
          tokens:
            - {id: workers, token_file: /etc/gotunnel/token, clients: ["k8s-*"]}
            - {id: db, token: \(strongToken), clients: [db-1]}
          state_dir: /var/lib/gotunnel
          log_level: debug
          log_format: json
          advertise: ["203.0.113.11:17000"]
          tls: {certificate: /etc/s.crt, key: /etc/s.key, client_ca: /etc/ca.crt}
          clients:
            "*": {services: []}
            "k8s-*": {services: [apiserver], exposures: [kubelet], ports: ["20000-20999"], routes: []}
            k8s-special: {ports: [443, "8000-8001"]}
          cluster:
            advertise: "10.0.0.11:17000"
            peers: ["10.0.0.11:17000", "10.0.0.12:17000", "10.0.0.13:17000"]
            secrets: [\(otherToken), another-old-secret]
            engine: embedded
            election_timeout: 2s
            on_leader: [/usr/local/bin/take-address, eth0]
            on_follower: []
          services:
            web: {targets: ["10.0.0.5:80", "[fd00::5]:80"], hedge_dial: true}
            apiserver:
              targets: ["127.0.0.1:6443"]
              health: {type: https, path: /readyz, interval: 5s, timeout: 500ms, unhealthy_after: 3, insecure: true}
          exposures: {bind: "127.0.0.2", ports: ["20000-20999", 30000]}
          admin: {socket: /run/gotunnel/s.sock, addr: "127.0.0.1:17080"}
          drain_timeout: 1m
          dial_timeout: 1500ms
          replay_buffer: 1MiB
          resume_window: [2s, 1m]
          limits: {clients: 5, streams_per_client: 6, handshakes: 7, memory_budget: 8MiB, bandwidth_per_client: 9KiB}
        """

    @Test func everyKeyOfAServer() throws {
        let checked = try SettingsLoader.check(text: Self.serverText, name: "config.yaml", in: surroundings())
        let server = try #require(checked.server)
        #expect(server.name == "controller-1" && server.address.description == "0.0.0.0:17000")
        let workers = try #require(NamePattern("k8s-*"))
        #expect(server.tokens[0] == TokenSettings(id: "workers", source: .file("/etc/gotunnel/token"), clients: [workers]))
        #expect(server.tokens[1].source == .inline(Secret(strongToken)))
        #expect(server.stateDirectory == "/var/lib/gotunnel")
        #expect(server.log.level == .debug && server.log.format == .json && server.log.language == nil)
        #expect(server.advertise.map(\.description) == ["203.0.113.11:17000"])
        #expect(
            server.tls?.certificate == "/etc/s.crt" && server.tls?.key == "/etc/s.key" && server.tls?.clientCA == "/etc/ca.crt")
        #expect(server.exposures.bind.description == "127.0.0.2")
        #expect(server.exposures.ports?.map(\.description) == ["20000-20999", "30000"])
        #expect(server.admin.socket == "/run/gotunnel/s.sock" && server.admin.address?.description == "127.0.0.1:17080")
        #expect(
            server.drainTimeout == .seconds(60) && server.dialTimeout == .milliseconds(1_500) && server.replayBuffer == 1 << 20)
        #expect(server.resumeWindow.withOtherLinks == .seconds(2) && server.resumeWindow.alone == .seconds(60))
        #expect(server.limits.clients == 5 && server.limits.streamsPerClient == 6 && server.limits.handshakes == 7)
        #expect(server.limits.memoryBudget == 8 << 20 && server.limits.bandwidthPerClient == 9 << 10)
        #expect(checked.notices.isEmpty)
    }

    @Test func servicesAndCluster() throws {
        let settings = try server(Self.serverText)
        #expect(settings.services.map(\.name) == ["apiserver", "web"])
        let health = settings.services[0].health
        #expect(health.kind == .https && health.path == "/readyz" && health.interval == .seconds(5))
        #expect(health.timeout == .milliseconds(500) && health.unhealthyAfter == 3 && health.insecure)
        #expect(settings.services[1].hedgeDial && settings.services[1].health == HealthSettings())
        #expect(settings.services[1].targets.map(\.description) == ["10.0.0.5:80", "[fd00::5]:80"])
        let cluster = try #require(settings.cluster)
        #expect(cluster.advertise?.description == "10.0.0.11:17000" && cluster.peers.count == 3 && cluster.engine == .embedded)
        #expect(cluster.secrets == [.inline(Secret(otherToken)), .inline(Secret("another-old-secret"))])
        #expect(cluster.electionTimeout == .seconds(2) && cluster.onLeader == ["/usr/local/bin/take-address", "eth0"])
        #expect(cluster.onFollower.isEmpty)
    }

    @Test func policiesStandMostSpecificFirstAndTellLeftOutFromEmpty() throws {
        let policies = try #require(try server(Self.serverText).clients)
        #expect(policies.map(\.pattern.text) == ["k8s-special", "k8s-*", "*"])
        #expect(policies[0].services == nil && policies[0].exposures == nil)
        #expect(policies[0].ports?.map(\.description) == ["443", "8000-8001"])
        #expect(policies[1].services?.map(\.text) == ["apiserver"] && policies[1].exposures?.map(\.text) == ["kubelet"])
        #expect(policies[1].ports?.map(\.description) == ["20000-20999"] && policies[1].routes.isEmpty)
        #expect(policies[2].services == [] && policies[2].exposures == nil && policies[2].ports == nil)
    }

    @Test func aServerWithNothingButAToken() throws {
        let settings = try server("server: {token: \(strongToken)}")
        #expect(settings.name == "node-1" && settings.address.description == "0.0.0.0:17000")
        #expect(settings.stateDirectory == "./state/server")
        #expect(settings.admin == AdminSettings(socket: "/tmp/gotunnel-1000/server.sock"))
        #expect(settings.services.isEmpty && settings.cluster == nil && settings.egress == nil && settings.tls == nil)
        #expect(settings.log == LogSettings() && settings.log.level == .info && settings.log.format == .auto)
        #expect(settings.drainTimeout == .seconds(30) && settings.dialTimeout == .seconds(3) && settings.replayBuffer == 16 << 20)
        #expect(
            settings.limits.clients == 10_000 && settings.limits.memoryBudget == 512 << 20 && settings.limits.handshakes == 512)
        #expect(settings.clients == nil && settings.exposures.ports == nil && settings.advertise.isEmpty)
        #expect(settings.exposures.leaderPorts.map(\.description) == ["20000-20999"])
    }

    @Test func anEmptyListOfClientsIsNotAnAbsentOne() throws {
        #expect(try server("server: {token: \(strongToken), clients: {}}").clients == [])
        #expect(try server("server:\n  token: \(strongToken)\n  clients:\n  # later\n").clients == nil)
    }

    @Test func asManyAsTheProtocolHolds() throws {
        let servers = (1...64).map { "\"10.0.0.\($0):17000\"" }.joined(separator: ", ")
        let exposures = (1...253).map { "{name: e\($0), target: \"a:\($0)\"}" }.joined(separator: ", ")
        let worker = try client(
            """
            client:
              token: \(strongToken)
              server_addrs: [\(servers)]
              links: 8
              local_ports: [22]
              exposures: [\(exposures)]
            """)
        #expect(worker.servers.count == 64 && worker.links == 8 && worker.exposures.count == 254)
        let services = (1...200).map { "s\($0): {targets: [\"a:\($0)\"]}" }.joined(separator: ", ")
        let own = (1...8).map { "\"10.0.0.\($0):17000\"" }.joined(separator: ", ")
        let controller = try server(
            """
            server:
              token: \(strongToken)
              advertise: [\(own)]
              cluster: {peers: [\(servers)], secret: \(otherToken)}
              services: {\(services)}
            """)
        #expect(controller.services.count == 200 && controller.advertise.count == 8 && controller.cluster?.peers.count == 64)
    }

    @Test func everyKeyOfAClient() throws {
        let text = """
            client:
              name: k8s-worker-01
              token_file: /etc/gotunnel/token
              allow_weak_token: true
              server_addrs: ["203.0.113.11:17000", "203.0.113.12:17000"]
              links: 2
              forwards:
                - {listen: "127.0.0.1:6443", service: apiserver}
                - {listen: ["127.0.0.2:6443", "[::1]:6443"], service: apiserver}
              exposures:
                - {name: kubelet, target: "127.0.0.1:10250"}
                - {name: ssh, target: "127.0.0.1:22", remote_port: 20022}
              addresses: ["10.1.0.5", "k8s-worker-01"]
              routes: []
              mirror_addresses: false
              mirror_allow: ["10.0.0.0/24"]
              heartbeat_interval: 500ms
              heartbeat_timeout: 2s
              server_pins: ["\(strongToken)"]
              health_check_interval: 1m
              state_dir: /var/lib/gotunnel
              admin: {socket: /run/gotunnel/c.sock, addr: "127.0.0.1:17081"}
              resume_window: [5s, 30s]
              log_level: warning
              log_format: journal
              log_lang: en
              limits: {memory_budget: 64MiB}
              replay_buffer: 4MiB
              dial_timeout: 1s
            """
        let checked = try SettingsLoader.check(text: text, name: "config.yaml", in: surroundings())
        let client = try #require(checked.client)
        #expect(client.name == "k8s-worker-01" && client.token == .file("/etc/gotunnel/token") && client.allowWeakToken)
        #expect(client.servers.map(\.description) == ["203.0.113.11:17000", "203.0.113.12:17000"] && client.links == 2)
        #expect(client.forwards.map { $0.listen.map(\.description) } == [["127.0.0.1:6443"], ["127.0.0.2:6443", "[::1]:6443"]])
        #expect(client.forwards.map(\.service) == ["apiserver", "apiserver"])
        #expect(client.exposures.map(\.name) == ["kubelet", "ssh"] && client.exposures.map(\.remotePort) == [nil, 20_022])
        #expect(client.addresses.map(\.description) == ["10.1.0.5", "k8s-worker-01"])
        #expect(client.routes.isEmpty && !client.mirrorAddresses && client.mirrorAllow.map(\.description) == ["10.0.0.0/24"])
        #expect(client.heartbeatInterval == .milliseconds(500) && client.heartbeatTimeout == .seconds(2))
        #expect(client.serverPins.map(\.description) == [strongToken] && client.healthCheckInterval == .seconds(60))
        #expect(client.stateDirectory == "/var/lib/gotunnel" && client.admin.socket == "/run/gotunnel/c.sock")
        #expect(client.admin.address?.port == 17_081 && client.resumeWindow == ResumeWindow())
        #expect(client.log.level == .warning && client.log.format == .journal && client.log.language == .en)
        #expect(client.memoryBudget == 64 << 20 && client.replayBuffer == 4 << 20 && client.dialTimeout == .seconds(1))
        #expect(
            checked.notices.map(\.rendered) == [
                "config.yaml:26: client.log_lang: messages are English; log_lang changes nothing"
            ])
    }

    @Test func aClientWithACertificateNeedsNoToken() throws {
        let settings = try client("client: {server_addr: \"a:1\", tls: {certificate: /c.crt, key: /c.key, ca: /ca.crt}}")
        #expect(settings.token == nil)
        #expect(settings.tls?.certificate == "/c.crt" && settings.tls?.key == "/c.key" && settings.tls?.ca == "/ca.crt")
        // The variable may be set for another process: a certificate is not mixed with it.
        let around = surroundings(["GOTUNNEL_TOKEN": strongToken])
        #expect(
            try client("client: {server_addr: \"a:1\", tls: {certificate: /c.crt, key: /c.key, ca: /ca.crt}}", in: around).token
                == nil)
        #expect(try server("server: {tls: {client_ca: /ca.crt}}").tokens.isEmpty)
    }

    @Test func aClientWithNothingButAServerAndAToken() throws {
        let settings = try client("client: {token: \(strongToken), server_addr: \"a:17000\"}")
        #expect(settings.name == "node-1" && settings.links == 2 && settings.forwards.isEmpty && settings.exposures.isEmpty)
        #expect(settings.heartbeatInterval == .seconds(1) && settings.heartbeatTimeout == .seconds(4))
        #expect(settings.healthCheckInterval == .seconds(10) && settings.stateDirectory == "./state/client")
        #expect(settings.admin == AdminSettings(socket: "/tmp/gotunnel-1000/client.sock"))
        #expect(settings.resumeWindow.withOtherLinks == .seconds(5) && settings.resumeWindow.alone == .seconds(30))
    }

    @Test func aHeartbeatWrittenAloneKeepsTheOtherInProportion() throws {
        let fast = try client("client: {token: \(strongToken), server_addr: \"a:1\", heartbeat_timeout: 500ms}")
        #expect(fast.heartbeatInterval == .milliseconds(125) && fast.heartbeatTimeout == .milliseconds(500))
        let slow = try client("client: {token: \(strongToken), server_addr: \"a:1\", heartbeat_interval: 10}")
        #expect(slow.heartbeatInterval == .seconds(10) && slow.heartbeatTimeout == .seconds(30))
    }
}
