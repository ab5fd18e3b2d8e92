import Timing
import TunnelWire

/// What a server's part in its cluster depends on, fixed for the life of the process.
package struct ClusterConfiguration: Sendable {
    package var name: ServerName
    /// Of the state directory: with another one it is another voter.
    package var id: WireID
    /// Of the process.
    package var instance: WireID
    /// Where peers dial this server.
    package var addresses: [PeerAddress]
    /// The servers that found the cluster, this one included; none: a cluster of one.
    package var peers: [PeerAddress]
    /// E of the election.
    package var electionTimeout: Duration
    /// The mapped ports that the leader gives out.
    package var ports: [ClosedRange<UInt16>]
    /// A mapped port outlives its registration by so long.
    package var portRetention: Duration
    /// Program and version, for people.
    package var software: String
    package var registry: RegistryConfiguration
    package var membership: MembershipConfiguration
    package var mutation: Mutation

    package init(
        name: ServerName, id: WireID, instance: WireID, addresses: [PeerAddress], peers: [PeerAddress],
        electionTimeout: Duration = .seconds(1), ports: [ClosedRange<UInt16>], portRetention: Duration = .seconds(24 * 3_600),
        software: String = "", registry: RegistryConfiguration = RegistryConfiguration(),
        membership: MembershipConfiguration = MembershipConfiguration(), mutation: Mutation = Mutation(nil)
    ) {
        self.name = name
        self.id = id
        self.instance = instance
        self.addresses = addresses
        self.peers = peers
        self.electionTimeout = electionTimeout
        self.ports = ports
        self.portRetention = portRetention
        self.software = software
        self.registry = registry
        self.membership = membership
        self.mutation = mutation
    }

    package var voter: Voter { Voter(name: self.name, id: self.id) }

    /// Who has to agree to the founding, all of them: the configured peers. A server that is not among them never founds a
    /// cluster by itself.
    var founders: Electorate.Founders {
        guard !self.peers.isEmpty else { return Electorate.Founders(count: 1, digest: 1) }
        guard self.peers.contains(where: self.addresses.contains) else { return Electorate.Founders(count: .max, digest: 2) }
        let sorted = Set(self.peers.map { "\($0.host):\($0.port)" }).sorted()
        return Electorate.Founders(count: sorted.count, digest: Self.digest(sorted))
    }

    /// FNV-1a over the texts, never one of the small numbers with a meaning of their own.
    private static func digest(_ texts: [String]) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in texts.joined(separator: "\n").utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash | 1 << 63
    }
}
