/// Decodes the `server` section.
struct ServerDecoder {
    let section: Section
    let context: DecodingContext
    private var report: Report { section.report }

    init(_ section: Section, _ context: DecodingContext) {
        self.section = section
        self.context = context
    }

    /// The settings; of use only when the report stayed empty.
    func decode() -> ServerSettings {
        let (admin, adminAddress) = section.adminSettings(context)
        let tls = section.section("tls").flatMap { serverTLS($0) }
        var settings = ServerSettings(
            name: section.processName(context), tokens: [], stateDirectory: section.stateDirectory(context), admin: admin)
        settings.allowWeakToken = section.value("allow_weak_token", .boolean) ?? false
        settings.tokens = TokenDecoder(section, context).serverTokens(
            weakAllowed: settings.allowWeakToken, required: tls?.clientCA == nil)
        settings.tls = tls
        let address = section.found("addr", .listenAddress("0.0.0.0:17000"))
        settings.address = address?.value ?? settings.address
        settings.log = section.logSettings()
        let advertise = section.list("advertise", .address("203.0.113.11:17000"), most: Bounds.advertised) ?? []
        report.duplicates(advertise, what: "the address", mend: "remove one of the two", same: ==)
        settings.advertise = advertise.map(\.value)
        // `clients:` with nothing below it is as good as absent; only `clients: {}` means nobody.
        settings.clients = section.node("clients") == nil ? nil : section.section("clients").map(policies)
        settings.cluster = section.section("cluster").map { ClusterDecoder($0, context).decode() }
        settings.services = section.section("services").map(services) ?? []
        settings.exposures = section.section("exposures").map(mappedPorts) ?? settings.exposures
        let egress = section.section("egress").map(egress)
        settings.egress = egress?.settings
        decodeBounds(into: &settings)
        let written = address ?? Found(value: settings.address, line: section.line, path: section.keyPath("addr"))
        let listeners = [written, adminAddress, egress?.address].compactMap { $0 }
        report.duplicates(listeners, what: "the address", mend: "give each listener a port of its own") { $0.collides(with: $1) }
        section.finish(elsewhere: SettingsKeys.place)
        LegacyNotices(section).server()
        return settings
    }

    private func decodeBounds(into settings: inout ServerSettings) {
        settings.drainTimeout =
            section.value("drain_timeout", .duration(.zero...Duration.seconds(86_400), example: "30s")) ?? settings.drainTimeout
        settings.dialTimeout = section.dialTimeout(else: settings.dialTimeout)
        settings.replayBuffer = section.replayBuffer(else: settings.replayBuffer)
        settings.resumeWindow = section.resumeWindow()
        if let limits = section.section("limits") {
            var result = ServerLimits()
            result.clients = limits.value("clients", .number(1...1_000_000, example: "10000")) ?? result.clients
            result.streamsPerClient =
                limits.value("streams_per_client", .number(1...1_000_000, example: "16384")) ?? result.streamsPerClient
            result.handshakes = limits.value("handshakes", .number(1...65_536, example: "512")) ?? result.handshakes
            result.memoryBudget =
                limits.value("memory_budget", .size(Bounds.memoryBudget, example: "512MiB")) ?? result.memoryBudget
            result.bandwidthPerClient =
                limits.value("bandwidth_per_client", .size(0...(1 << 40), example: "10MiB")) ?? result.bandwidthPerClient
            limits.finish()
            settings.limits = result
        }
        section.checkBudget(settings.limits.memoryBudget, holds: settings.replayBuffer)
    }

    /// `tls` of the server and of egress.
    private func serverTLS(_ tls: Section) -> ServerTLSSettings? {
        let certificate = tls.file("certificate", "/etc/gotunnel/server.crt", context)
        let key = tls.file("key", "/etc/gotunnel/server.key", isPrivate: true, context)
        let clientCA = tls.file("client_ca", "/etc/gotunnel/clients-ca.crt", context)
        if tls.has("certificate") != tls.has("key") {
            let missing = tls.has("key") ? "certificate" : "key"
            report.problem(
                tls.line, tls.keyPath(missing), "certificate and key go together",
                "write \(missing): and the path of its PEM file")
        }
        tls.finish()
        return ServerTLSSettings(certificate: certificate, key: key, clientCA: clientCA)
    }

    /// `clients`: most specific pattern first, so that the order in the file means nothing.
    private func policies(_ clients: Section) -> [ClientPolicy] {
        var found: [ClientPolicy] = []
        for (key, entry) in clients.named() {
            guard let pattern = NamePattern(key.value) else {
                report.problem(
                    key.line, key.path,
                    "expected a client name or a pattern such as k8s-*, found \(PrintableText.quoted(key.value))",
                    "use letters, digits, hyphens, dots and *")
                continue
            }
            var policy = ClientPolicy(pattern: pattern)
            policy.services = entry.list("services", .pattern)?.map(\.value)
            policy.exposures = entry.list("exposures", .pattern)?.map(\.value)
            policy.ports = entry.list("ports", .portRange)?.map(\.value)
            policy.routes = entry.list("routes", .cidr)?.map(\.value) ?? []
            if !policy.routes.isEmpty {
                report.unbuilt(.policyRoutes, line: entry.line(of: "routes"), key: entry.keyPath("routes"))
            }
            entry.finish()
            if found.contains(where: { $0.pattern == pattern }) {
                report.problem(key.line, key.path, "the same pattern stands above", "put both into one entry")
            }
            found.append(policy)
        }
        return found.sorted { a, b in
            (a.pattern.isExact ? 0 : 1, -a.pattern.text.utf8.count, a.pattern.text)
                < (b.pattern.isExact ? 0 : 1, -b.pattern.text.utf8.count, b.pattern.text)
        }
    }

    private func services(_ services: Section) -> [ServiceSettings] {
        guard services.keys.count <= Bounds.services else {
            report.problem(
                services.line, services.path, "expected at most \(Bounds.services) services, found \(services.keys.count)",
                "remove some")
            return []
        }
        var found: [ServiceSettings] = []
        for (key, entry) in services.named() {
            let name = Names.label(key.value)
            if name == nil {
                report.problem(
                    key.line, key.path,
                    "\(PrintableText.quoted(key.value)) is no name (letters, digits and hyphens, at most 63 bytes)",
                    "write \(Names.suggestion(for: key.value)):")
            } else if found.contains(where: { $0.name == name }) {
                report.problem(key.line, key.path, "a service of this name stands above", "choose another name")
            }
            found.append(service(name ?? "unnamed", entry))
        }
        return found.sorted { $0.name < $1.name }
    }

    private func service(_ name: String, _ entry: Section) -> ServiceSettings {
        let targets = entry.list("targets", .address("127.0.0.1:6443"))
        if !entry.has("targets") || targets?.isEmpty == true && !entry.hasItems("targets") {
            report.problem(
                entry.line(of: "targets"), entry.keyPath("targets"), "a service needs a target",
                "write targets: [\"127.0.0.1:6443\"]")
        }
        report.duplicates(targets ?? [], what: "the target", mend: "remove one of the two", same: ==)
        var service = ServiceSettings(name: name, targets: targets?.map(\.value) ?? [])
        service.hedgeDial = entry.value("hedge_dial", .boolean) ?? false
        if let health = entry.section("health") { service.health = self.health(health) }
        entry.finish()
        return service
    }

    private func health(_ section: Section) -> HealthSettings {
        var health = HealthSettings()
        health.kind = section.value("type", .word(HealthSettings.Kind.self, example: "https")) ?? health.kind
        health.path = section.value("path", .httpPath) ?? health.path
        health.interval =
            section.value("interval", .duration(.milliseconds(100)...Duration.seconds(3_600), example: "2s")) ?? health.interval
        health.timeout =
            section.value("timeout", .duration(.milliseconds(10)...Duration.seconds(60), example: "1s")) ?? health.timeout
        health.unhealthyAfter = section.value("unhealthy_after", .number(1...100, example: "2")) ?? health.unhealthyAfter
        health.insecure = section.value("insecure", .boolean) ?? health.insecure
        if health.kind == .tcp, section.has("path") {
            report.problem(
                section.line(of: "path"), section.keyPath("path"), "a tcp check has no path", "write type: https or remove path")
        }
        section.finish()
        return health
    }

    private func mappedPorts(_ section: Section) -> MappedPortSettings {
        var ports = MappedPortSettings()
        ports.bind = section.value("bind", .ipAddress) ?? ports.bind
        ports.ports = section.list("ports", .portRange)?.map(\.value)
        section.finish()
        return ports
    }

    private func egress(_ section: Section) -> (settings: EgressSettings, address: Found<HostPort>?) {
        report.unbuilt(.egress, line: section.line, key: section.path)
        var egress = EgressSettings()
        egress.socket = section.value("socket", .socketPath)
        let address = section.found("addr", .listenAddress("127.0.0.1:17090"))
        egress.address = address?.value
        egress.tls = section.section("tls").flatMap { serverTLS($0) }
        egress.allowUIDs = section.list("allow_uids", .number(0...4_294_967_294, example: "0"))?.map(\.value) ?? egress.allowUIDs
        section.finish()
        return (egress, address)
    }
}
