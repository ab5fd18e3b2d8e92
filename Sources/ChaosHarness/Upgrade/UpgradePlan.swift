/// How one process is put in the place of another.
package enum UpgradeCarrier: String, Sendable, Codable, CaseIterable {
    /// `gotunnelctl upgrade`: the same process with another program.
    case exec
    /// `systemctl restart`: systemd keeps the connections meanwhile.
    case restart
    /// `kill -9` and a new start: nothing is handed over. Shows that the rehearsal notices.
    case kill
}

/// Whose process it is.
package enum UpgradedProgram: String, Sendable, Codable, CaseIterable {
    case server, client
    /// One after the other.
    case both
}

/// What `gotunnel-chaos upgrade` is to do.
package struct UpgradePlan: Sendable {
    package var programs: String
    package var folder: String
    package var carrier = UpgradeCarrier.exec
    package var who = UpgradedProgram.server
    package var times = 10
    package var streams = 500
    /// How many connections the carrier takes; what is above may be reset, in so many words.
    package var limit: Int?
    /// Between two upgrades.
    package var pause = Duration.seconds(2)

    package init(programs: String, folder: String) {
        self.programs = programs
        self.folder = folder
    }
}
