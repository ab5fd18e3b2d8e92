import NIOCore

/// How one process is put in the place of another.
package enum UpgradeCarrier: String, Sendable, Codable, CaseIterable {
    /// `gotunnelctl upgrade`: the same process with another program.
    case exec
    /// `systemctl restart`: systemd keeps the connections meanwhile.
    case restart
    /// `kill -9` and a new start: nothing is handed over. Shows that the rehearsal notices.
    case kill
    /// Nothing is replaced. Shows that the rehearsal loses nothing by itself.
    case none

    /// The most connections that it takes when nothing else is said; nil: all of them.
    var limit: Int? { self == .restart ? 2_000 : nil }
    /// Whether connections are to go on.
    var handsOver: Bool { self == .exec || self == .restart }
}

/// Whose process it is.
package enum UpgradedProgram: String, Sendable, Codable, CaseIterable {
    case server, client
    /// One after the other.
    case both

    /// Those that are replaced in each round.
    var parts: [UpgradedProgram] { self == .both ? [.server, .client] : [self] }
}

/// What `gotunnel-chaos upgrade` is to do.
package struct UpgradePlan: Sendable {
    package var programs: String
    package var folder: String
    package var carrier = UpgradeCarrier.exec
    package var who = UpgradedProgram.server
    /// With several, another one is replaced each time. The client has a link with each.
    package var servers = 1
    package var times = 10
    /// Long streams that send now and then, half of them through a mapped port.
    package var streams = 500
    /// Long streams besides that send as fast as they can, half of them through a mapped port.
    package var bulk = 2
    /// How fast the others send.
    package var pace: PatternPace?
    /// How many connections the carrier takes; what is above may be reset, in so many words. Nil: as the carrier does.
    package var limit: Int?
    /// Between two upgrades, on average.
    package var pause = Duration.seconds(2)
    /// What the streams' bytes and the moments of the upgrades are made from.
    package var seed: UInt64 = 1

    package init(programs: String, folder: String) {
        self.programs = programs
        self.folder = folder
    }

    /// What many streams do is to be rehearsed, not what the machine can take: together they write as often as 500 do.
    var paceOfMany: PatternPace {
        let milliseconds = Int64(max(125, self.streams / 4))
        return self.pace ?? PatternPace(chunk: self.streams > 1_000 ? 1_024 : 4_096, interval: .milliseconds(milliseconds))
    }

    /// Of streams that always have something to send.
    static let paceOfBulk = PatternPace(chunk: 32_768, interval: .milliseconds(5))

    /// Between 3/4 and 5/4 of ``pause``, so that no two upgrades meet the traffic at the same beat.
    func pause(after round: Int) -> Duration {
        let draw = PatternWords(stream: self.seed, direction: .up).word(UInt64(round)) % 512
        return self.pause * 3 / 4 + self.pause * Int(draw) / 1_024
    }
}
