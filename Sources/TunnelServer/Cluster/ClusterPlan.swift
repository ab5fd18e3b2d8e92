import ClusterCore
import Daemon
import Identity
import Logging
import Settings
import TunnelWire

/// A server's part in its cluster as its configuration and its disk have it, before anything runs. A server without peers is
/// a cluster of one.
struct ClusterPlan {
    let configuration: ClusterConfiguration
    let stored: StoredState?
    let file: ClusterFile

    /// Reads the state, and makes sure that it can be written: a server that finds out later has made no promise yet, but
    /// would break those it is about to make.
    static func load(
        _ settings: ServerSettings, installation: WireID, instance: WireID, software: String,
        using rng: inout some RandomNumberGenerator
    ) throws(IdentityProblem) -> ClusterPlan {
        let file = ClusterFile(directory: settings.stateDirectory, name: settings.name, installation: installation)
        let found = try file.load()
        let id = found?.id ?? WireID.random(using: &rng)
        let stored = found?.state
        try file.write(stored ?? StoredState(), id: id)
        let ranges = settings.exposures.ports?.map { UInt16(clamping: $0.first)...UInt16(clamping: $0.last) }
        return ClusterPlan(
            configuration: ClusterConfiguration(
                name: settings.name, id: id, instance: instance, addresses: settings.clusterAddresses,
                peers: settings.cluster?.peers.map(\.peerAddress) ?? [],
                electionTimeout: settings.cluster?.electionTimeout ?? .milliseconds(100),
                ports: ranges ?? AccessPolicy.defaultPickedPorts, software: software,
                mutation: Mutation(Faults.isOn(.twoLeaders) ? .leadAlone : nil)),
            stored: stored, file: file)
    }

    /// What an operator should know of a cluster of this size.
    func announce(_ logger: Logger) {
        let metadata: Logger.Metadata = ["peers": "\(self.configuration.peers.count)"]
        switch self.configuration.peers.count {
        case 0: break
        case 1:
            logger.notice(
                "cluster of one: when this server is down, everything is",
                metadata: metadata.merging(["mend": "add peers"]) { $1 })
        case 2:
            logger.warning(
                "cluster of two: without both, nothing new is agreed",
                metadata: metadata.merging([
                    "lost": "new mapped ports while one is down", "kept": "sessions, forwards, exposures, known mapped ports",
                    "mend": "a third server; a witness needs no clients",
                ]) { $1 })
        case let count:
            if !self.configuration.peers.contains(where: self.configuration.addresses.contains) {
                logger.warning(
                    "this server is not among its own peers: it founds no cluster and has no vote until it is added",
                    metadata: metadata.merging([
                        "mend": "write server.cluster.advertise as it stands in peers, or gotunnelctl cluster add"
                    ]) { $1 })
            }
            logger.notice(
                "cluster: only new mapped ports need a majority",
                metadata: metadata.merging(["majority": "\(count / 2 + 1)"]) { $1 })
        }
    }
}

extension ServerSettings {
    /// Where peers dial this server; empty where that is not said and not among its peers either.
    var clusterAddresses: [PeerAddress] {
        guard let cluster = self.cluster else { return [] }
        if let advertise = cluster.advertise { return [advertise.peerAddress] }
        return cluster.peers.filter { $0 == self.address }.map(\.peerAddress)
    }
}

extension HostPort {
    var peerAddress: PeerAddress { PeerAddress(host: self.host.description, port: UInt16(clamping: self.port)) }
}
