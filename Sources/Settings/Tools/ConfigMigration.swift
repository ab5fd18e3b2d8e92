/// Rewrites a file of the original gotunnel in this project's form, meaning the same.
package enum ConfigMigration {
    /// A migrated file.
    package struct Outcome: Sendable, Equatable {
        /// The new file. It holds the token if the old one did: write it with mode 0600.
        package let yaml: String
        /// What to know or to do, one line each; never with a secret in it.
        package let remarks: [String]
    }

    /// Migrates a text; `name` stands for the file in messages. A file that is not right as it stands is refused, with its
    /// problems; one that holds keys which the original never had is given back unchanged.
    package static func migrate(text: String, name: String, in surroundings: Surroundings) throws(SettingsError) -> Outcome {
        let checked = try SettingsLoader.check(text: text, name: name, in: surroundings)
        let report = Report(file: name)
        guard let root = ConfigDocument.parse(text, report: report), let top = Section(root, path: "", line: 1, report: report)
        else {
            try report.throwIfAnything()
            return Outcome(yaml: text, remarks: [])
        }
        guard isOriginal(top) else {
            return Outcome(yaml: text, remarks: ["nothing to migrate: the file has keys that the original gotunnel did not have"])
        }
        var writer = MigrationWriter()
        if let settings = checked.server, let section = top.section("server") { writer.server(settings, section) }
        if let settings = checked.client, let section = top.section("client") { writer.client(settings, section) }
        return Outcome(yaml: writer.lines.joined(separator: "\n") + "\n", remarks: writer.remarks)
    }

    private static func isOriginal(_ top: Section) -> Bool {
        let server = top.section("server")?.keys.allSatisfy(LegacyNotices.serverKeys.contains) ?? true
        let client = top.section("client")?.keys.allSatisfy(LegacyNotices.clientKeys.contains) ?? true
        return server && client
    }
}

/// Writes the new file line by line, so that its comments can say what to decide.
private struct MigrationWriter {
    var lines: [String] = []
    var remarks: [String] = []

    mutating func server(_ settings: ServerSettings, _ section: Section) {
        lines.append("server:")
        lines.append("  addr: \(quoted(settings.address.description))")
        token(settings.tokens.first?.source, of: "server")
        log(settings.log, section)
        lines += [
            "  # Mapped ports listen on 127.0.0.1; the original took every address. To have that back:",
            "  # exposures: {bind: \"0.0.0.0\"}",
            "  # What clients may open with a forward, such as the kube-apiserver of this machine:",
            "  # services:",
            "  #   apiserver:",
            "  #     targets: [\"127.0.0.1:6443\"]",
            "  #     health: {type: https, path: /readyz, insecure: true}",
        ]
        remarks.append("server: mapped ports listen on 127.0.0.1 unless exposures.bind says otherwise")
        remarks.append(
            "server: add services (commented in the new file) for what workers are to reach, such as the kube-apiserver")
    }

    mutating func client(_ settings: ClientSettings, _ section: Section) {
        lines.append("client:")
        if section.has("name") { lines.append("  name: \(quoted(settings.name))") }
        token(settings.token, of: "client")
        lines.append("  server_addrs: [\(settings.servers.map { quoted($0.description) }.joined(separator: ", "))]")
        if !settings.exposures.isEmpty {
            lines.append("  exposures:")
            lines += settings.exposures.map { exposure in
                let port = exposure.remotePort.map { ", remote_port: \($0)" } ?? ""
                return "    - {name: \(exposure.name), target: \(quoted(exposure.target.description))\(port)}"
            }
        }
        forward(settings)
        for (key, value) in [
            ("heartbeat_interval", settings.heartbeatInterval), ("heartbeat_timeout", settings.heartbeatTimeout),
            ("health_check_interval", settings.healthCheckInterval),
        ] where section.has(key) {
            lines.append("  \(key): \(DurationText.format(value))")
        }
        log(settings.log, section)
        if settings.exposures.count > 1 {
            remarks.append(
                "client: the original ignored all local_ports but the first; the others are exposures without a mapped port now")
        }
        if !section.has("remote_port"), !settings.exposures.isEmpty {
            remarks.append("client: remote_port was not set, which meant \(LegacyPorts.defaultRemotePort); it is written out now")
        }
        if !section.has("heartbeat_interval") {
            remarks.append(
                "client: heartbeats come every 1s by default (10s in the original), and a link silent for 4s is closed (30s)")
        }
    }

    /// The forward that a worker with `local_ports: [6443]` most likely wants.
    private mutating func forward(_ settings: ClientSettings) {
        guard let exposure = settings.exposures.first(where: { $0.target.port == 6_443 }) else { return }
        lines += [
            "  # \(exposure.name) shows this machine's own port 6443 to the server. If this is a worker whose programs are to reach the",
            "  # controllers' kube-apiserver, remove it and write this instead (the server needs the service apiserver):",
            "  # forwards:",
            "  #   - {listen: \"127.0.0.1:6443\", service: apiserver}",
        ]
        remarks.append(
            "client: local_ports: [6443] shows this machine's port 6443 to the server; to reach the controllers' kube-apiserver from here, "
                + "take the forward to the service apiserver instead (commented in the new file)")
    }

    private mutating func token(_ source: SecretSource?, of role: String) {
        switch source {
        case .inline(let secret):
            lines.append("  token: \(quoted(secret.reveal()))")
            if !secret.isStrong {
                remarks.append(
                    "\(role): the token is weak and will be refused at start: make one with openssl rand -hex 32 or gotunnelctl token new, "
                        + "the same on both ends")
            }
            remarks.append("\(role): better keep the token in a file of mode 0600 and write token_file")
        case .file(let path): lines.append("  token_file: \(quoted(path))")
        case .environment, nil: remarks.append("\(role): the token still comes from $\(SecretSource.variable)")
        }
    }

    private mutating func log(_ log: LogSettings, _ section: Section) {
        if section.has("log_level") { lines.append("  log_level: \(log.level.rawValue)") }
        if section.has("log_lang") { remarks.append("\(section.path): log_lang is dropped; messages are English") }
    }

    /// A YAML text in double quotes. Values reach here through the decoder: printable, so only these two need escaping.
    private func quoted(_ text: String) -> String {
        var result = "\""
        for character in text {
            if character == "\"" || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result + "\""
    }
}
