/// Decodes where the tokens of a section come from.
struct TokenDecoder {
    let section: Section
    let context: DecodingContext
    private var report: Report { section.report }

    init(_ section: Section, _ context: DecodingContext) {
        self.section = section
        self.context = context
    }

    /// `token`, `token_file` or `tokens` of a server, else `$GOTUNNEL_TOKEN`. Without `required`, there may be none.
    func serverTokens(weakAllowed: Bool, required: Bool) -> [TokenSettings] {
        let single = section.secretSource("token", "token_file", context)
        let listed = section.sections("tokens", example: "{id: worker-1, token_file: /etc/gotunnel/worker-1.token}")
        if listed != nil, section.has("token") || section.has("token_file") {
            let other = section.has("token") ? "token" : "token_file"
            report.problem(
                section.line(of: other), section.keyPath(other), "\(other) and tokens are both given", "move it into tokens")
            return []
        }
        if let single {
            section.noteStrength(of: single, weakAllowed: weakAllowed)
            return [TokenSettings(source: single.value)]
        }
        if let listed {
            if listed.isEmpty, required, !section.hasItems("tokens") {
                report.problem(
                    section.line(of: "tokens"), section.keyPath("tokens"), "the list is empty: no client could connect",
                    Self.advice)
            }
            return tokens(listed, weakAllowed: weakAllowed)
        }
        return fallback(required: required).map { [TokenSettings(source: $0)] } ?? []
    }

    /// `token` or `token_file` of a client, else `$GOTUNNEL_TOKEN`.
    func clientToken(weakAllowed: Bool, required: Bool) -> SecretSource? {
        if let single = section.secretSource("token", "token_file", context) {
            section.noteStrength(of: single, weakAllowed: weakAllowed)
            return single.value
        }
        return required ? fallback(required: true) : nil
    }

    private static let advice =
        "write token_file: /etc/gotunnel/token (gotunnelctl token new makes a token) or set $\(SecretSource.variable)"

    private func fallback(required: Bool) -> SecretSource? {
        // A key that is there but wrong has been reported.
        if section.has("token") || section.has("token_file") || section.has("tokens") { return nil }
        if context.surroundings.variable(SecretSource.variable) != nil { return .environment }
        if required { report.problem(section.line, section.keyPath("token_file"), "there is no token", Self.advice) }
        return nil
    }

    private func tokens(_ listed: [Section], weakAllowed: Bool) -> [TokenSettings] {
        var ids: [Found<String>] = []
        var result: [TokenSettings] = []
        for entry in listed {
            let id = entry.found("id", .label)
            if !entry.has("id") {
                report.problem(entry.line, entry.keyPath("id"), "a token of a list needs an id", "write id: worker-1")
            }
            let source = entry.secretSource("token", "token_file", context)
            if source == nil, !entry.has("token"), !entry.has("token_file") {
                report.problem(
                    entry.line, entry.keyPath("token_file"), "there is no token", "write token_file: /etc/gotunnel/worker-1.token"
                )
            }
            let clients = entry.list("clients", .pattern)?.map(\.value) ?? []
            entry.finish()
            if let id { ids.append(id) }
            guard let source else { continue }
            entry.noteStrength(of: source, weakAllowed: weakAllowed)
            result.append(TokenSettings(id: id?.value, source: source.value, clients: clients))
        }
        report.duplicates(ids, what: "the id", mend: "choose another id", same: ==)
        return result
    }
}

/// Decodes `cluster`.
struct ClusterDecoder {
    let section: Section
    let context: DecodingContext
    private var report: Report { section.report }

    init(_ section: Section, _ context: DecodingContext) {
        self.section = section
        self.context = context
    }

    func decode() -> ClusterSettings {
        let advertise = section.value("advertise", .address("10.0.0.11:17000"))
        let peers = section.list("peers", .address("10.0.0.11:17000"), most: Bounds.servers) ?? []
        if !section.has("peers") {
            report.problem(
                section.line, section.keyPath("peers"), "a cluster needs its voters, the same list on all servers",
                "write peers: [\"10.0.0.11:17000\", \"10.0.0.12:17000\", \"10.0.0.13:17000\"]")
        }
        report.duplicates(peers, what: "the peer", mend: "remove one of the two", same: ==)
        var cluster = ClusterSettings(advertise: advertise, peers: peers.map(\.value), secrets: secrets())
        cluster.engine = engine()
        cluster.etcd = section.section("etcd").map(etcd)
        cluster.electionTimeout =
            section.value("election_timeout", .duration(.milliseconds(100)...Duration.seconds(60), example: "1s"))
            ?? cluster.electionTimeout
        cluster.onLeader = command("on_leader")
        cluster.onFollower = command("on_follower")
        section.finish()
        return cluster
    }

    /// `secret`, `secret_file` or `secrets`.
    private func secrets() -> [SecretSource] {
        let single = section.secretSource("secret", "secret_file", context)
        let listed = section.list("secrets", .secret, most: 16)
        let given = ["secret", "secret_file", "secrets"].filter(section.has)
        if given.isEmpty {
            report.problem(
                section.line, section.keyPath("secret_file"), "peers need a secret to know each other by",
                "write secret_file: /etc/gotunnel/cluster-secret (openssl rand -hex 32 makes one)")
        }
        if given.contains("secrets"), given.count > 1 {
            report.problem(
                section.line(of: "secrets"), section.keyPath("secrets"), "\(given[0]) and secrets are both given", "keep secrets")
        }
        if let listed { return listed.map { .inline($0.value) } }
        return single.map { [$0.value] } ?? []
    }

    private func engine() -> ClusterSettings.Engine {
        guard let node = section.node("engine") else { return .embedded }
        if case .mapping = node.content {
            report.unbuilt(.etcdEngine, line: node.line, key: section.keyPath("engine"))
            return .etcd
        }
        let engine = section.value("engine", .word(ClusterSettings.Engine.self, example: "embedded")) ?? .embedded
        if engine == .etcd { report.unbuilt(.etcdEngine, line: node.line, key: section.keyPath("engine")) }
        return engine
    }

    private func etcd(_ section: Section) -> EtcdSettings {
        let endpoints = section.list("endpoints", .argument)?.map(\.value) ?? []
        let etcd = EtcdSettings(
            endpoints: endpoints, ca: section.file("ca", "/etc/kubernetes/pki/etcd/ca.crt", context),
            certificate: section.file("certificate", "/etc/gotunnel/etcd.crt", context),
            key: section.file("key", "/etc/gotunnel/etcd.key", isPrivate: true, context),
            prefix: section.value("prefix", .argument) ?? "/gotunnel/")
        section.finish()
        return etcd
    }

    private func command(_ key: String) -> [String] {
        section.list(key, .argument, most: 64)?.map(\.value) ?? []
    }
}
