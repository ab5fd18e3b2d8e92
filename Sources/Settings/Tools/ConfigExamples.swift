/// Commented examples to start from. Each loads as it stands once the secret files that it names exist.
package enum ConfigExamples {
    /// Which example.
    package enum Kind: String, Sendable, CaseIterable {
        case server, client, cluster
    }

    /// The text of an example, ending in a newline.
    package static func text(for kind: Kind) -> String {
        switch kind {
        case .server: server
        case .client: client
        case .cluster: cluster
        }
    }

    private static let server = """
        # gotunnel-server, alone. Durations: 500ms, 2s, 1m. Sizes: 64KiB, 16MiB. A # starts what may be left out.
        server:
          # name: controller-1                 # default: the host's name
          addr: "0.0.0.0:17000"                # clients connect here; one firewall rule

          # One shared token (gotunnelctl token new > /etc/gotunnel/token; chmod 600), the same on the clients,
          token_file: /etc/gotunnel/token
          # or, better, one for each client: whoever holds it can pose as no other.
          # tokens:
          #   - {id: worker-1, token_file: /etc/gotunnel/worker-1.token, clients: [k8s-worker-01]}

          # state_dir: /var/lib/gotunnel       # default: $STATE_DIRECTORY, else ./state/server
          log_level: info                      # trace debug info notice warning error critical
          log_format: auto                     # auto text json journal (auto: journal under systemd, else text)

          # What clients may open.
          services:
            apiserver:
              targets: ["127.0.0.1:6443"]
              health: {type: https, path: /readyz, interval: 2s, timeout: 1s, unhealthy_after: 2, insecure: true}

          # Who may do what. Left out: every client, any service, exposures in the range below.
          clients:
            "k8s-*": {services: [apiserver], exposures: [kubelet, ssh], ports: ["20000-20999"]}

          # Where the ports mapped to clients listen. Clear of NodePort (30000-32767) and of ephemeral ports.
          exposures: {bind: "127.0.0.1", ports: ["20000-20999"]}

          admin: {addr: "127.0.0.1:17080"}     # besides the Unix socket: /healthz, /readyz, /metrics, /v1/status
          # tls: {certificate: /etc/gotunnel/server.crt, key: /etc/gotunnel/server.key, client_ca: /etc/gotunnel/ca.crt}
          drain_timeout: 30s                   # what streams have to end in, on SIGTERM
          dial_timeout: 3s
          replay_buffer: 16MiB                 # kept of each session, to resume it after its link broke
          resume_window: [5s, 30s]             # how long: while another link is up, while none is
          limits: {clients: 10000, streams_per_client: 16384, handshakes: 512, memory_budget: 512MiB, bandwidth_per_client: 0}

        """

    private static let client = """
        # gotunnel-client, on a worker. Durations: 500ms, 2s, 1m. Sizes: 64KiB, 16MiB. A # starts what may be left out.
        client:
          # name: k8s-worker-01                # default: the host's name
          token_file: /etc/gotunnel/token      # the server's token; or $GOTUNNEL_TOKEN
          # The servers; those that they announce are learned. Or server_addr: one.
          server_addrs: ["203.0.113.11:17000", "203.0.113.12:17000", "203.0.113.13:17000"]
          links: 2                             # hold sessions with so many of them at a time

          # What this machine's programs may reach: a listener here, a service there.
          forwards:
            - {listen: "127.0.0.1:6443", service: apiserver}

          # What the server's side may reach here.
          exposures:
            - {name: kubelet, target: "127.0.0.1:10250"}                  # by name
            - {name: ssh, target: "127.0.0.1:22", remote_port: 20022}     # by a port of the server
          health_check_interval: 10s           # an exposure whose target is down is withdrawn until it is back

          # server_pins: []                    # SHA-256 of the servers' certificates: no other server is trusted
          # tls: {certificate: /etc/gotunnel/client.crt, key: /etc/gotunnel/client.key, ca: /etc/gotunnel/ca.crt}
          heartbeat_interval: 1s
          heartbeat_timeout: 4s                # a link silent for so long is closed; its streams wait for the next
          resume_window: [5s, 30s]
          # state_dir: /var/lib/gotunnel       # default: $STATE_DIRECTORY, else ./state/client
          log_level: info
          log_format: auto
          admin: {addr: "127.0.0.1:17081"}     # besides the Unix socket
          dial_timeout: 3s
          replay_buffer: 16MiB
          limits: {memory_budget: 512MiB}

        """

    private static let cluster = """
        # gotunnel-server as one of three. Only name, advertise and cluster.advertise differ between them.
        server:
          name: controller-1
          addr: "0.0.0.0:17000"                # clients and peers
          token_file: /etc/gotunnel/token      # the same on all servers and clients
          # state_dir: /var/lib/gotunnel       # holds the server's vote: never copied, never restored from a backup
          advertise: ["203.0.113.11:17000"]    # what clients are told to dial; default: what they dialled
          cluster:
            advertise: "10.0.0.11:17000"       # where peers reach this server, spelled as in peers
            # The servers that found the cluster, all of them, the same list on all. All must be up once, at the same time;
            # later on voters are changed by gotunnelctl cluster add and remove.
            peers: ["10.0.0.11:17000", "10.0.0.12:17000", "10.0.0.13:17000"]
            secret_file: /etc/gotunnel/cluster-secret      # the same on all servers, never a token: gotunnelctl token new
            engine: embedded
            election_timeout: 1s               # E: a silent leader is replaced after 1 to 2 of it, a killed one at once
            # on_leader: [/usr/local/bin/take-address, eth0]       # run without a shell, with GOTUNNEL_TERM in the environment
            # on_follower: [/usr/local/bin/drop-address, eth0]     # at start and when the lead is lost
          services:
            apiserver:
              targets: ["127.0.0.1:6443"]
              health: {type: https, path: /readyz, insecure: true}
          exposures: {bind: "127.0.0.1", ports: ["20000-20999"]}       # the leader picks from its own range: the same on all

        """
}
