import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Test hosts in network namespaces, each with a cable to one bridge in a namespace of its own. Needs root, iproute2 and
/// nftables. All names begin with `gtc` and the id of this process, so that what a killed run left can be told and removed.
///
/// Whatever is wrong with the network is begun and ended by itself, many things at a time: see `LinkFault`. Packets are dropped
/// by nftables in the bridge, rates are limited by a token bucket (tc-tbf(8)) at the host's end of the cable, and packets are
/// held back by this program itself, in a `DelayedLink` that the cable is led through: kernels without netem have no other
/// way. A host's first delay puts that link in, for which its cable is unplugged for some microseconds; the link stays until
/// the lab is removed, then without delay. A connection through two of them carries some 100 MB a second, for one CPU.
package final class NamespaceLab: Sendable {
    package let hosts: [StageHost]
    private let prefix: String
    /// One way, of what any host sends.
    let baseDelay: Duration
    private let leftovers: Leftovers?

    struct State: Sendable {
        var count = 0
        var faults: [LinkFaultID: LinkFault] = [:]
        /// By host.
        var delays: [Int: DelayedLink] = [:]
    }

    let state = Mutex(State())

    // MARK: Making and removing

    private static let count = Atomic<Int>(0)

    /// Makes `count` hosts at 10.98.0.1, 10.98.0.2 …
    ///
    /// - Parameters:
    ///   - roundTrip: between any two hosts.
    ///   - leftovers: where the namespaces are noted before they are made.
    package init(hosts count: Int, roundTrip: Duration = .zero, leftovers: Leftovers? = nil) throws {
        // A process may have several labs.
        let prefix = "gtc\(getpid())-\(Self.count.add(1, ordering: .relaxed).newValue)"
        self.prefix = prefix
        self.hosts = (1...count).map { StageHost(address: "10.98.0.\($0)", namespace: "\(prefix)-\($0)") }
        self.baseDelay = roundTrip / 2
        self.leftovers = leftovers
        do {
            try self.make()
            if roundTrip > .zero {
                try self.state.withLock { state in for host in self.hosts.indices { try self.delay(host, &state) } }
            }
        } catch {
            self.remove()
            throw error
        }
    }

    /// The namespace of the bridge.
    var bridge: String { "\(self.prefix)-br" }

    private func make() throws {
        try self.makeNamespace(self.bridge)
        try Shell.run(["ip", "-n", self.bridge, "link", "add", "br0", "type", "bridge"])
        try Shell.run(["ip", "-n", self.bridge, "link", "set", "br0", "up"])
        for (index, host) in self.hosts.enumerated() {
            guard let name = host.namespace else { continue }
            try self.makeNamespace(name)
            try Shell.run([
                "ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", Self.port(index), "netns",
                self.bridge,
            ])
            try self.addPort(Self.port(index))
            try Shell.run(["ip", "-n", name, "addr", "add", "\(host.address)/24", "dev", "eth0"])
            try Shell.run(["ip", "-n", name, "link", "set", "eth0", "up"])
        }
        try self.filter(LinkRules.table + "\n")
    }

    private func makeNamespace(_ name: String) throws {
        try self.leftovers?.note(.namespace(name))
        try Shell.run(["ip", "netns", "add", name])
        try Shell.run(["ip", "-n", name, "link", "set", "lo", "up"])
    }

    /// Ends all faults and removes all hosts.
    package func remove() {
        self.state.withLock { state in
            state.faults = [:]
            for delay in state.delays.values { delay.stop() }
            state.delays = [:]
        }
        for name in self.hosts.compactMap(\.namespace) + [self.bridge, self.farHost.namespace ?? ""] where !name.isEmpty {
            guard FileManager.default.fileExists(atPath: "/run/netns/\(name)") else { continue }
            _ = try? Shell.run(["ip", "netns", "del", name])
            if !FileManager.default.fileExists(atPath: "/run/netns/\(name)") { self.leftovers?.forget(.namespace(name)) }
        }
    }

    /// A name of a namespace that some run made, and whether that run is over.
    static func isLeftover(_ name: String, isRunning: (pid_t) -> Bool) -> Bool {
        guard name.hasPrefix("gtc"), let dash = name.firstIndex(of: "-"),
            let pid = pid_t(name[name.index(name.startIndex, offsetBy: 3)..<dash])
        else { return false }
        return !isRunning(pid)
    }

    /// Removes what runs left that were killed.
    package static func removeLeftovers() throws {
        LeftoverSweep().sweep()
        for name in try self.namespaces() where self.isLeftover(name, isRunning: { kill($0, 0) == 0 || errno == EPERM }) {
            _ = try? Shell.run(["ip", "netns", "del", name])
        }
    }

    private static func namespaces() throws -> [String] {
        try Shell.run(["ip", "netns", "list"]).split(separator: "\n").compactMap {
            $0.split(separator: " ").first.map(String.init)
        }
    }

    // MARK: Cables

    /// The bridge's end of a host's cable.
    static func port(_ index: Int) -> String { "v\(index + 1)" }
    /// The bridge's end of a host's delayed link.
    static func delayPort(_ index: Int) -> String { "d\(index + 1)" }

    /// Puts a device of the bridge's namespace into the bridge, under this name.
    func addPort(_ name: String) throws {
        try Shell.run(["ip", "-n", self.bridge, "link", "set", name, "master", "br0", "up"])
    }

    var bridgeNamespace: String { self.bridge }
    /// A host that is not on the bridge's cables; see `DelayedLink`.
    var farHost: StageHost { StageHost(address: "10.98.0.200", namespace: "\(self.prefix)-far") }

    func filter(_ rules: String) throws {
        try Shell.run(["ip", "netns", "exec", self.bridge, "nft", "-f", "-"], input: rules)
    }
}
