import Testing

@testable import Identity

@Suite struct AccessPolicyTests {
    private func patterns(_ texts: [String]) throws -> [NamePattern] { try texts.map { try NamePattern($0) } }

    /// The example of the documentation, with an exception before it and a catch-all after it.
    private func policy() throws -> AccessPolicy {
        AccessPolicy(
            entries: [
                .init(clients: try NamePattern("k8s-db"), services: [], exposures: try patterns(["pg-*"]), ports: []),
                .init(
                    clients: try NamePattern("k8s-*"), services: try patterns(["apiserver"]),
                    exposures: try patterns(["kubelet"]),
                    ports: [20_000...20_999, 80...80], routes: ["10.1.0.0/16"]),
                .init(clients: try NamePattern("edge-*")),
            ],
            ports: [30_000...30_009])
    }

    @Test func withoutTheSectionEverythingUsualIsAllowed() {
        let policy = AccessPolicy()
        #expect(policy.mayUse(service: "apiserver", client: "any").isAllowed)
        #expect(policy.mayExpose(name: "kubelet", port: .none, client: "any").isAllowed)
        #expect(policy.mayExpose(name: "kubelet", port: .picked, client: "any").isAllowed)
        #expect(policy.mayExpose(name: "kubelet", port: .fixed(1024), client: "any").isAllowed)
        #expect(policy.mayExpose(name: "kubelet", port: .fixed(65_535), client: "any").isAllowed)
        #expect(!policy.mayExpose(name: "kubelet", port: .fixed(1023), client: "any").isAllowed)
        #expect(!policy.mayRoute("10.0.0.0/8", client: "any").isAllowed)
        #expect(policy.pickedPorts(client: "any") == [20_000...20_999])
    }

    @Test func aRangeBoundsFixedPorts() {
        let policy = AccessPolicy(ports: [22...22, 20_000...20_001])
        for (port, expected) in [(22, true), (23, false), (19_999, false), (20_000, true), (20_001, true), (20_002, false)] {
            #expect(policy.mayExpose(name: "a", port: .fixed(UInt16(port)), client: "c").isAllowed == expected, "\(port)")
        }
        #expect(policy.pickedPorts(client: "c") == [22...22, 20_000...20_001])
    }

    @Test(arguments: [
        ("k8s-1", "apiserver", true), ("k8s-1", "etcd", false), ("k8s-db", "apiserver", false), ("edge-1", "anything", true),
        ("stranger", "apiserver", false),
    ])
    func services(client: String, service: String, expected: Bool) throws {
        #expect(try policy().mayUse(service: service, client: client).isAllowed == expected)
    }

    @Test(arguments: [
        ("k8s-1", "kubelet", RequestedPort.none, true), ("k8s-1", "kubelet", .picked, true),
        ("k8s-1", "kubelet", .fixed(80), true),
        ("k8s-1", "kubelet", .fixed(20_500), true), ("k8s-1", "kubelet", .fixed(30_000), false), ("k8s-1", "ssh", .none, false),
        ("k8s-db", "pg-main", .none, true), ("k8s-db", "pg-main", .picked, false), ("k8s-db", "pg-main", .fixed(20_000), false),
        ("k8s-db", "kubelet", .none, false), ("edge-1", "ssh", .fixed(30_009), true), ("edge-1", "ssh", .fixed(30_010), false),
        ("edge-1", "ssh", .picked, true), ("stranger", "ssh", .none, false),
    ])
    func exposures(client: String, name: String, port: RequestedPort, expected: Bool) throws {
        #expect(try policy().mayExpose(name: name, port: port, client: client).isAllowed == expected)
    }

    @Test func routesAndPickedPorts() throws {
        let policy = try policy()
        #expect(policy.mayRoute("10.1.0.0/16", client: "k8s-1").isAllowed)
        #expect(!policy.mayRoute("10.2.0.0/16", client: "k8s-1").isAllowed)
        #expect(!policy.mayRoute("10.1.0.0/16", client: "edge-1").isAllowed)
        #expect(policy.pickedPorts(client: "k8s-1") == [20_000...20_999, 80...80])
        #expect(policy.pickedPorts(client: "k8s-db") == [])
        #expect(policy.pickedPorts(client: "edge-1") == [30_000...30_009])
        #expect(policy.pickedPorts(client: "stranger") == [])
    }

    @Test func anEmptySectionAllowsNobody() {
        let policy = AccessPolicy(entries: [])
        #expect(!policy.mayUse(service: "apiserver", client: "any").isAllowed)
        #expect(!policy.mayExpose(name: "kubelet", port: .none, client: "any").isAllowed)
    }

    @Test func refusalsNameTheKeyThatWouldAllow() throws {
        let policy = try policy()
        let cases: [(AccessDecision, String)] = [
            (policy.mayUse(service: "etcd", client: "k8s-1"), "server.clients.\"k8s-*\".services"),
            (policy.mayExpose(name: "ssh", port: .none, client: "k8s-1"), "server.clients.\"k8s-*\".exposures"),
            (policy.mayExpose(name: "kubelet", port: .fixed(81), client: "k8s-1"), "server.clients.\"k8s-*\".ports"),
            (policy.mayExpose(name: "ssh", port: .fixed(81), client: "edge-1"), "server.exposures.ports"),
            (policy.mayExpose(name: "pg-a", port: .picked, client: "k8s-db"), "server.clients.\"k8s-db\".ports"),
            (AccessPolicy().mayExpose(name: "ssh", port: .fixed(81), client: "a"), "server.exposures.ports"),
            (policy.mayRoute("0.0.0.0/0", client: "edge-1"), "server.clients.\"edge-*\".routes"),
            (policy.mayUse(service: "etcd", client: "stranger"), "under server.clients"),
        ]
        for (decision, key) in cases {
            guard case .refused(let reason) = decision else {
                Issue.record("allowed: \(key)")
                continue
            }
            #expect(reason.contains(key), "\(reason)")
        }
    }

    @Test func refusalsStayShortAndPrintableWhateverTheNames() throws {
        let long = String(repeating: "x", count: 250)
        let hostile = "\u{1B}[2J\r\nfoo=\"bar\" é" + long
        let policy = AccessPolicy(entries: [.init(clients: try NamePattern(long.dropLast(1) + "*"), services: [], exposures: [])])
        let decisions = [
            policy.mayUse(service: hostile, client: long), policy.mayExpose(name: hostile, port: .fixed(1), client: long),
            policy.mayRoute(hostile, client: long), policy.mayUse(service: hostile, client: hostile),
        ]
        for decision in decisions {
            guard case .refused(let reason) = decision else {
                Issue.record("allowed")
                continue
            }
            #expect(reason.utf8.count <= 200)
            #expect(!reason.hasSuffix("..."), "nothing of the sentence itself is cut off: \(reason)")
            #expect(reason.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        }
    }

    @Test func sanitizing() {
        #expect(PrintableText.sanitize("plain text") == "plain text")
        #expect(PrintableText.sanitize("a\n\u{0}\u{7F}é") == "a?????")
        #expect(PrintableText.sanitize([0x41, 0xFF, 0x1B]) == "A??")
        #expect(PrintableText.sanitize(String(repeating: "x", count: 200)) == String(repeating: "x", count: 200))
        #expect(PrintableText.sanitize(String(repeating: "x", count: 201)) == String(repeating: "x", count: 197) + "...")
        #expect(PrintableText.sanitize("long", limit: 2) == "..")
    }
}
