/// Decodes the `client` section.
struct ClientDecoder {
    let section: Section
    let context: DecodingContext
    private var report: Report { section.report }

    init(_ section: Section, _ context: DecodingContext) {
        self.section = section
        self.context = context
    }

    /// The settings; of use only when the report stayed empty.
    func decode() -> ClientSettings {
        let (admin, adminAddress) = section.adminSettings(context)
        var settings = ClientSettings(
            name: section.processName(context), token: nil, servers: servers(), stateDirectory: section.stateDirectory(context),
            admin: admin)
        settings.allowWeakToken = section.value("allow_weak_token", .boolean) ?? false
        settings.tls = section.section("tls").map(clientTLS)
        settings.token = token(settings)
        settings.links = section.value("links", .number(1...8, example: "2")) ?? settings.links
        let forwards = self.forwards()
        settings.forwards = forwards.map(\.settings)
        let listeners = forwards.flatMap(\.listen) + [adminAddress].compactMap { $0 }
        report.duplicates(listeners, what: "the address", mend: "give each listener an address or port of its own") {
            $0.collides(with: $1)
        }
        settings.exposures = exposures()
        decodePlace(into: &settings)
        decodeHeartbeat(into: &settings)
        settings.log = section.logSettings()
        decodeBounds(into: &settings)
        section.finish(elsewhere: SettingsKeys.place)
        LegacyNotices(section).client()
        return settings
    }

    // MARK: Servers and authentication

    /// `server_addr` or `server_addrs`.
    private func servers() -> [HostPort] {
        let one = section.found("server_addr", .address("203.0.113.11:17000"))
        let several = section.list("server_addrs", .address("203.0.113.11:17000"), most: Bounds.servers)
        switch (section.has("server_addr"), section.has("server_addrs")) {
        case (true, true):
            report.problem(
                section.line(of: "server_addr"), section.keyPath("server_addr"), "server_addr and server_addrs are both given",
                "move it into server_addrs")
        case (false, false):
            report.problem(
                section.line, section.keyPath("server_addrs"), "there is no server to connect to",
                "write server_addrs: [\"203.0.113.11:17000\"]")
        case (false, true) where several?.isEmpty == true && !section.hasItems("server_addrs"):
            report.problem(
                section.line(of: "server_addrs"), section.keyPath("server_addrs"), "the list is empty",
                "write server_addrs: [\"203.0.113.11:17000\"]")
        default: break
        }
        let found = several ?? []
        report.duplicates(found, what: "the server", mend: "remove one of the two", same: ==)
        return one.map { [$0.value] } ?? found.map(\.value)
    }

    private func clientTLS(_ tls: Section) -> ClientTLSSettings {
        let certificate = tls.file("certificate", "/etc/gotunnel/client.crt", context)
        let key = tls.file("key", "/etc/gotunnel/client.key", isPrivate: true, context)
        let ca = tls.file("ca", "/etc/gotunnel/ca.crt", context)
        for missing in ["certificate", "key", "ca"] where !tls.has(missing) {
            report.problem(
                tls.line, tls.keyPath(missing), "certificate, key and ca go together",
                "write \(missing): and the path of its PEM file")
        }
        tls.finish()
        return ClientTLSSettings(certificate: certificate ?? "", key: key ?? "", ca: ca ?? "")
    }

    /// The token; nil with a certificate. There is no fallback from one to the other, so both together are refused.
    private func token(_ settings: ClientSettings) -> SecretSource? {
        let token = TokenDecoder(section, context).clientToken(
            weakAllowed: settings.allowWeakToken, required: !section.has("tls"))
        if token != nil, section.has("tls") {
            report.problem(
                section.line(of: "tls"), section.keyPath("tls"),
                "a token and a certificate are both given: a client authenticates by one of them",
                "remove tls or the token")
        }
        return token
    }

    // MARK: Forwards and exposures

    private func forwards() -> [(settings: ForwardSettings, listen: [Found<HostPort>])] {
        let example = "{listen: \"127.0.0.1:6443\", service: apiserver}"
        return (section.sections("forwards", example: example) ?? []).map { entry in
            let listen = entry.oneOrMore("listen", .listenAddress("127.0.0.1:6443"), most: 64)
            if !entry.has("listen") || listen?.isEmpty == true && !entry.hasItems("listen") {
                report.problem(
                    entry.line(of: "listen"), entry.keyPath("listen"), "a forward needs an address to listen on",
                    "write listen: \"127.0.0.1:6443\"")
            }
            let service = entry.value("service", .label)
            if !entry.has("service") {
                report.problem(entry.line, entry.keyPath("service"), "a forward needs a service", "write service: apiserver")
            }
            entry.finish()
            return (ForwardSettings(listen: listen?.map(\.value) ?? [], service: service ?? "unnamed"), listen ?? [])
        }
    }

    /// `exposures`, after what `local_ports` and `remote_port` give.
    private func exposures() -> [ExposureSettings] {
        let old = LegacyPorts(section).exposures()
        var names = old.map(\.name)
        var ports = old.compactMap(\.port)
        var result = old.map(\.settings)
        let example = "{name: kubelet, target: \"127.0.0.1:10250\"}"
        for entry in section.sections("exposures", example: example, most: Bounds.exposures) ?? [] {
            let name = entry.found("name", .label)
            if !entry.has("name") {
                report.problem(entry.line, entry.keyPath("name"), "an exposure needs a name", "write name: kubelet")
            }
            let target = entry.value("target", .address("127.0.0.1:10250"))
            if !entry.has("target") {
                report.problem(
                    entry.line, entry.keyPath("target"), "an exposure needs a target", "write target: \"127.0.0.1:10250\"")
            }
            let port = entry.found("remote_port", .number(0...65_535, example: "20022"))
            entry.finish()
            if let name { names.append(name) }
            if let port, port.value > 0 { ports.append(port) }
            guard let name, let target else { continue }
            result.append(ExposureSettings(name: name.value, target: target, remotePort: port?.value))
        }
        if result.count > Bounds.exposures {
            report.problem(
                section.line(of: "exposures"), section.keyPath("exposures"),
                "expected at most \(Bounds.exposures) together with local_ports, found \(result.count)", "remove some")
        }
        report.duplicates(names, what: "the name", mend: "choose another name", same: ==)
        report.duplicates(ports, what: "the mapped port", mend: "choose another port", same: ==)
        return result
    }

    // MARK: The rest

    private func decodePlace(into settings: inout ClientSettings) {
        let addresses = section.list("addresses", .host) ?? []
        report.duplicates(addresses, what: "the address", mend: "remove one of the two", same: ==)
        settings.addresses = addresses.map(\.value)
        settings.routes = section.list("routes", .cidr)?.map(\.value) ?? []
        if !settings.routes.isEmpty {
            report.unbuilt(.clientRoutes, line: section.line(of: "routes"), key: section.keyPath("routes"))
        }
        settings.mirrorAddresses = section.value("mirror_addresses", .boolean) ?? false
        if settings.mirrorAddresses {
            report.unbuilt(.mirrorAddresses, line: section.line(of: "mirror_addresses"), key: section.keyPath("mirror_addresses"))
        }
        settings.mirrorAllow = section.list("mirror_allow", .cidr)?.map(\.value) ?? []
        let pins = section.list("server_pins", .pin) ?? []
        report.duplicates(pins, what: "the pin", mend: "remove one of the two", same: ==)
        settings.serverPins = pins.map(\.value)
    }

    private func decodeHeartbeat(into settings: inout ClientSettings) {
        let bounds = Duration.milliseconds(50)...Duration.seconds(3_600)
        let interval = section.value("heartbeat_interval", .duration(bounds, example: "1s", bareSeconds: true))
        let timeout = section.found("heartbeat_timeout", .duration(bounds, example: "4s", bareSeconds: true))
        // One that is not written keeps its distance from the one that is: silence is told from slowness by several beats.
        settings.heartbeatInterval =
            interval ?? timeout.map { min(settings.heartbeatInterval, $0.value / 4) } ?? settings.heartbeatInterval
        settings.heartbeatTimeout = timeout?.value ?? max(settings.heartbeatTimeout, settings.heartbeatInterval * 3)
        if let interval, let timeout, timeout.value <= interval {
            report.problem(
                timeout.line, timeout.path, "it is not longer than heartbeat_interval, \(DurationText.format(interval))",
                "write heartbeat_timeout: \(DurationText.format(interval * 4))")
        }
        settings.healthCheckInterval =
            section.value(
                "health_check_interval",
                .duration(.milliseconds(100)...Duration.seconds(86_400), example: "10s", bareSeconds: true))
            ?? settings.healthCheckInterval
    }

    private func decodeBounds(into settings: inout ClientSettings) {
        settings.dialTimeout = section.dialTimeout(else: settings.dialTimeout)
        settings.replayBuffer = section.replayBuffer(else: settings.replayBuffer)
        settings.resumeWindow = section.resumeWindow()
        if let limits = section.section("limits") {
            settings.memoryBudget =
                limits.value("memory_budget", .size(Bounds.memoryBudget, example: "512MiB")) ?? settings.memoryBudget
            limits.finish()
        }
        section.checkBudget(settings.memoryBudget, holds: settings.replayBuffer)
    }
}
