import ChaosCore
import Foundation

/// Writes the configurations and secrets of a scenario's stage.
struct ChaosFiles: Sendable {
    let layout: StageLayout
    let places: ChaosPlaces
    /// The folder with the programs.
    let programs: String
    /// Whether kube-apiservers stand beside the stand-ins.
    let hasKubernetes: Bool

    /// Where secrets are read from: by each program itself, or lent to it by systemd.
    private var tokenFile: String { self.places.file("token") }
    private var secretFile: String { self.places.file("secret") }

    /// All configurations; the secrets are there.
    func write() throws {
        for server in self.places.servers { try self.write(server, tokens: ["token"], voters: self.firstVoters) }
        for client in self.places.clients { try self.write(client, token: "token") }
    }

    /// The servers that found the cluster.
    var firstVoters: [ChaosPlaces.Server] { self.places.servers.filter { !$0.isSpare } }

    func makeSecret(_ name: String) throws {
        let file = self.places.file(name)
        try? FileManager.default.removeItem(atPath: file)
        try Shell.run(["\(self.programs)/gotunnelctl", "token", "new", "--output", file])
    }

    /// - Parameters:
    ///   - tokens: files in the folder of the run.
    ///   - voters: whom `peers` names; a spare that joins is named by itself, too.
    func write(_ server: ChaosPlaces.Server, tokens: [String], voters: [ChaosPlaces.Server]) throws {
        let named = voters.contains(server) ? voters : voters + [server]
        let peers = named.map { "\"\($0.address)\"" }.joined(separator: ", ")
        let accepted = tokens.map { "{id: \($0), token_file: \(self.secret($0))}" }.joined(separator: ", ")
        let cluster =
            self.layout.servers + self.layout.spares > 1
            ? ["  cluster: {peers: [\(peers)], secret_file: \(self.secret("secret"))}"] : []
        var lines = [
            "server:", "  name: \(server.name)", "  addr: \"\(server.address)\"", "  tokens: [\(accepted)]",
            "  state_dir: \(self.state(server.name))", "  log_format: json",
        ]
        lines += cluster
        lines += [
            "  exposures: {bind: \"\(server.host.address)\", ports: [\"20000-20999\"]}", "  admin: {socket: \(server.socket)}",
            "  services:", "    apiserver:", "      targets: [\"\(server.apiserverAddress)\"]",
        ]
        let service = self.layout.serviceLines
        if !service.contains(where: { $0.hasPrefix("health:") }) {
            lines.append("      health: {type: https, path: /readyz, interval: 1s, timeout: 1s, insecure: true}")
        }
        lines += service.map { "      \($0)" }
        if self.hasKubernetes { lines += KubernetesSide.serviceLines(server) }
        lines += self.layout.serverLines.map { "  \($0)" }
        try self.write(lines, to: self.places.configuration(server.name))
    }

    func write(_ client: ChaosPlaces.Client, token: String) throws {
        let addresses = self.places.servers.map { "\"\($0.address)\"" }.joined(separator: ", ")
        var lines = [
            "client:", "  name: \(client.name)", "  token_file: \(self.secret(token))", "  server_addrs: [\(addresses)]",
            "  links: \(self.layout.links)", "  state_dir: \(self.state(client.name))", "  log_format: json",
            "  admin: {socket: \(client.socket)}", "  forwards:",
            "    - {listen: \"\(client.forward)\", service: apiserver}",
        ]
        if self.hasKubernetes { lines.append("    - \(KubernetesSide.forward(client))") }
        lines.append(
            "  exposures: [{name: \(ChaosPlaces.exposure), target: \"\(client.kubelet)\", remote_port: 0}]")
        lines += self.layout.clientLines.map { "  \($0)" }
        try self.write(lines, to: self.places.configuration(client.name))
    }

    func state(_ name: String) -> String {
        self.layout.isSupervised ? "/var/lib/gotunnel/\(name)" : self.places.file("state-\(name)")
    }

    private func secret(_ name: String) -> String {
        self.layout.isSupervised ? "$CREDENTIALS_DIRECTORY/secret_\(name)" : self.places.file(name)
    }

    private func write(_ lines: [String], to path: String) throws {
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: path))
    }
}
