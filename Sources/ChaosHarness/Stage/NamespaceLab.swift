import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Test hosts in network namespaces, joined by a bridge in a namespace of its own, whose links can be cut. Needs root,
/// iproute2 and nftables. All names begin with `gtc` and the id of this process, so that what a killed run left can be
/// told and removed.
package final class NamespaceLab: Sendable {
    package let hosts: [StageHost]
    private let prefix: String

    /// A name of a namespace that some run made, and whether that run is over.
    static func isLeftover(_ name: String, isRunning: (pid_t) -> Bool) -> Bool {
        guard name.hasPrefix("gtc"), let dash = name.firstIndex(of: "-"),
            let pid = pid_t(name[name.index(name.startIndex, offsetBy: 3)..<dash])
        else { return false }
        return !isRunning(pid)
    }

    /// Removes what runs left that were killed.
    package static func removeLeftovers() throws {
        for name in try self.namespaces() where self.isLeftover(name, isRunning: { kill($0, 0) == 0 || errno == EPERM }) {
            _ = try? Shell.run(["ip", "netns", "del", name])
        }
    }

    private static func namespaces() throws -> [String] {
        try Shell.run(["ip", "netns", "list"]).split(separator: "\n").compactMap {
            $0.split(separator: " ").first.map(String.init)
        }
    }

    /// Makes `count` hosts at 10.98.0.1, 10.98.0.2 …
    package init(hosts count: Int) throws {
        self.prefix = "gtc\(getpid())"
        self.hosts = (1...count).map { [prefix] in StageHost(address: "10.98.0.\($0)", namespace: "\(prefix)-\($0)") }
        do {
            try self.make()
        } catch {
            self.remove()
            throw error
        }
    }

    private var bridge: String { "\(self.prefix)-br" }

    private func make() throws {
        try Shell.run(["ip", "netns", "add", self.bridge])
        try Shell.run(["ip", "-n", self.bridge, "link", "set", "lo", "up"])
        try Shell.run(["ip", "-n", self.bridge, "link", "add", "br0", "type", "bridge"])
        try Shell.run(["ip", "-n", self.bridge, "link", "set", "br0", "up"])
        for (index, host) in self.hosts.enumerated() {
            guard let name = host.namespace else { continue }
            try Shell.run(["ip", "netns", "add", name])
            try Shell.run(["ip", "-n", name, "link", "set", "lo", "up"])
            try Shell.run([
                "ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", Self.port(index), "netns",
                self.bridge,
            ])
            try Shell.run(["ip", "-n", self.bridge, "link", "set", Self.port(index), "master", "br0", "up"])
            try Shell.run(["ip", "-n", name, "addr", "add", "\(host.address)/24", "dev", "eth0"])
            try Shell.run(["ip", "-n", name, "link", "set", "eth0", "up"])
        }
        try self.filter(
            "add table bridge cuts; add chain bridge cuts forward { type filter hook forward priority 0; policy accept; }")
    }

    /// The bridge's end of a host's cable.
    static func port(_ index: Int) -> String { "v\(index + 1)" }

    private func filter(_ rules: String) throws {
        try Shell.run(["ip", "netns", "exec", self.bridge, "nft", "-f", "-"], input: rules + "\n")
    }

    // MARK: Faults

    /// Which way packets are dropped.
    package enum Cut: String, Sendable, CaseIterable {
        case bothWays, onlyThere, onlyBack
    }

    /// The rules that silently drop what goes from host `one` to host `other`, what comes back, or both. Addresses are
    /// still resolved where only one direction is cut, as over a router.
    static func rules(_ cut: Cut, between one: Int, and other: Int) -> [String] {
        let (there, back) = (
            "iifname \(self.port(one)) oifname \(self.port(other))", "iifname \(self.port(other)) oifname \(self.port(one))"
        )
        switch cut {
        case .bothWays: return [there, back].map { "add rule bridge cuts forward \($0) drop" }
        case .onlyThere: return ["add rule bridge cuts forward \(there) ether type ip drop"]
        case .onlyBack: return ["add rule bridge cuts forward \(back) ether type ip drop"]
        }
    }

    package func cut(_ cut: Cut, between one: Int, and other: Int) throws {
        try self.filter(Self.rules(cut, between: one, and: other).joined(separator: "\n"))
    }

    package func heal() throws { try self.filter("flush chain bridge cuts forward") }

    /// Puts a TAP device of a delayed link into the bridge, under this name.
    func addPort(_ name: String) throws {
        try Shell.run(["ip", "-n", self.bridge, "link", "set", name, "master", "br0", "up"])
    }

    var bridgeNamespace: String { self.bridge }
    /// A host that is not on the bridge's cables; see `DelayedLink`.
    var farHost: StageHost { StageHost(address: "10.98.0.200", namespace: "\(self.prefix)-far") }

    package func remove() {
        for name in self.hosts.compactMap(\.namespace) + [self.bridge, self.farHost.namespace ?? ""] where !name.isEmpty {
            _ = try? Shell.run(["ip", "netns", "del", name])
        }
    }
}
