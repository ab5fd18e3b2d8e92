import Logging
import Settings

extension ServerSettings {
    /// These settings, with the values of `running` where a change needs a restart.
    func keeping(_ running: ServerSettings) -> ServerSettings {
        var merged = self
        merged.name = running.name
        merged.address = running.address
        merged.stateDirectory = running.stateDirectory
        merged.log.format = running.log.format
        merged.tls = running.tls
        merged.cluster = running.cluster
        if let cluster = self.cluster {
            merged.cluster?.peers = cluster.peers
            merged.cluster?.secrets = cluster.secrets
        }
        merged.exposures.bind = running.exposures.bind
        merged.egress = running.egress
        merged.admin = running.admin
        merged.replayBuffer = running.replayBuffer
        merged.resumeWindow = running.resumeWindow
        return merged
    }
}
