import Settings

extension Promise {
    /// As the files write it.
    package var key: String {
        switch self {
        case .failed(let kind, _): "failed_\(kind.rawValue)"
        case .slowest(let kind, _): "slowest_\(kind.rawValue)"
        case .p99(let kind, _): "p99_\(kind.rawValue)"
        case .longestSilence: "longest_silence"
        case .latestEvent: "latest_event"
        case .broken: "broken"
        case .recovered: "recovered"
        case .leaderless: "leaderless"
        case .noFalseDeath: "false_deaths"
        case .portsKept: "ports"
        case .agreement: "agreement"
        case .restartedWithin: "restarted_within"
        case .openFiles: "open_files"
        case .memory: "memory"
        case .noHarm: "no_harm"
        case .oneLeaderPerTerm: "one_leader_per_term"
        case .allAlive: "all_alive"
        case .cleanLogs: "clean_logs"
        }
    }

    /// The whole line: `slowest_new: 300ms`; those that hold always have a name alone.
    package var line: String {
        switch self {
        case .failed(_, let count), .broken(let count): "\(self.key): \(count.text)"
        case .slowest(_, let time), .p99(_, let time), .longestSilence(let time), .latestEvent(let time), .recovered(let time),
            .leaderless(let time), .agreement(let time), .restartedWithin(let time):
            "\(self.key): \(DurationText.format(time))"
        case .noFalseDeath: "\(self.key): none"
        case .portsKept: "\(self.key): kept"
        case .openFiles(let number): "\(self.key): \(number)"
        case .memory(let bytes): "\(self.key): \(ByteSize.format(bytes))"
        case .noHarm, .oneLeaderPerTerm, .allAlive, .cleanLogs: self.key
        }
    }
}

extension Promise.Count {
    var text: String {
        switch self {
        case .atMost(let number): "\(number)"
        case .share(let share): "\((share * 10_000).rounded() / 100)%"
        case .perFault(let number): "\(number) per fault"
        }
    }
}
