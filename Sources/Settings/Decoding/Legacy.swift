/// The original gotunnel's `local_ports` and `remote_port`, as exposures.
struct LegacyPorts {
    /// The mapped port of the original when `remote_port` was not set (or 0, which its language does not tell apart).
    static let defaultRemotePort = 10_022

    let section: Section

    init(_ section: Section) {
        self.section = section
    }

    /// One exposure `port-N` of 127.0.0.1:N for each port; the first has the mapped port.
    func exposures() -> [(settings: ExposureSettings, name: Found<String>, port: Found<Int>?)] {
        let locals = section.list("local_ports", .number(1...65_535, example: "22"), most: Bounds.exposures) ?? []
        let remote = section.found("remote_port", .number(0...65_535, example: "20022"))
        if let remote, !section.has("local_ports") {
            section.report.notice(
                remote.line, remote.path, "it maps nothing without local_ports; write remote_port in an exposure")
        }
        return locals.enumerated().compactMap { index, local in
            guard let target = HostPort(host: .address(.loopback), port: local.value) else { return nil }
            let name = Found(value: "port-\(local.value)", line: local.line, path: local.path)
            guard index == 0 else { return (ExposureSettings(name: name.value, target: target), name, nil) }
            let written = remote.flatMap { $0.value == 0 ? nil : $0 }
            let port = written ?? Found(value: Self.defaultRemotePort, line: local.line, path: local.path)
            return (ExposureSettings(name: name.value, target: target, remotePort: port.value), name, port)
        }
    }
}

/// What this version does differently with a file of the original gotunnel: one line each, at start.
struct LegacyNotices {
    /// The keys that the original had. A section without any other is taken for one of its files.
    static let serverKeys: Set<String> = ["addr", "token", "log_level", "log_lang"]
    static let clientKeys: Set<String> = [
        "name", "token", "server_addr", "local_ports", "remote_port", "heartbeat_interval", "heartbeat_timeout",
        "health_check_interval",
        "log_level", "log_lang",
    ]

    let section: Section
    private var report: Report { section.report }

    init(_ section: Section) {
        self.section = section
    }

    func server() {
        guard section.keys.allSatisfy(Self.serverKeys.contains) else { return }
        report.notice(
            section.line, section.path, "both ends must be this version: clients of the original gotunnel are not understood")
        report.notice(
            section.line, section.path,
            "mapped ports listen on 127.0.0.1, where the original took every address; exposures: {bind: \"0.0.0.0\"} brings that back"
        )
    }

    func client() {
        if section.keys.allSatisfy(Self.clientKeys.contains) {
            report.notice(
                section.line, section.path, "both ends must be this version: a server of the original gotunnel is not understood")
            let unset = ["heartbeat_interval", "heartbeat_timeout", "health_check_interval"].filter { !section.has($0) }
            if !unset.isEmpty {
                report.notice(
                    section.line, section.path,
                    "\(unset.joined(separator: ", ")): shorter by default than the original's 10s, 30s and 30s")
            }
        }
        localPorts()
    }

    private func localPorts() {
        guard case .list(let items) = section.node("local_ports")?.content, !items.isEmpty else { return }
        let ports = items.compactMap { item in
            if case .text(let text, false) = item.content { Int(text) } else { nil }
        }
        let line = section.line(of: "local_ports")
        let path = section.keyPath("local_ports")
        report.notice(
            line, path,
            "the server listens for it on 127.0.0.1 unless its exposures.bind says otherwise; the original took every address")
        if ports.count > 1 {
            let further = ports.dropFirst().prefix(8).map { "port-\($0)" }.joined(separator: ", ")
            report.notice(
                line, path,
                "the original ignored all but the first; here the others are exposures too, without a mapped port: \(further)")
        }
        if ports.contains(6_443) {
            report.notice(
                line, path,
                "6443 here is this machine's own port, shown to the server; if its programs are to reach the controllers' kube-apiserver, "
                    + "write forwards: [{listen: \"127.0.0.1:6443\", service: apiserver}] instead")
        }
    }
}

/// Where keys that stand in the wrong section belong.
enum SettingsKeys {
    private static let server: Set<String> = [
        "addr", "tokens", "advertise", "clients", "cluster", "services", "egress", "drain_timeout",
    ]
    private static let client: Set<String> = [
        "server_addr", "server_addrs", "links", "forwards", "local_ports", "remote_port", "addresses", "routes",
        "mirror_addresses",
        "mirror_allow", "heartbeat_interval", "heartbeat_timeout", "server_pins", "health_check_interval",
    ]
    private static let both: Set<String> = [
        "name", "token", "token_file", "allow_weak_token", "state_dir", "log_level", "log_format", "log_lang", "tls", "exposures",
        "admin",
        "dial_timeout", "replay_buffer", "resume_window", "limits",
    ]

    /// The section of a key, for a message; nil for a key that none has.
    static func place(of key: String) -> String? {
        if both.contains(key) { return "server: or client:" }
        if server.contains(key) { return "server:" }
        return client.contains(key) ? "client:" : nil
    }
}
