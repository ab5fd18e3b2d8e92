import ChaosCore

/// Which promises of a scenario can be judged in a cluster that is in use. Pure.
package struct RunningPromises: Sendable, Equatable {
    package var judged: [Promise] = []
    package var left: [Promise] = []

    /// - Parameter cluster: whether it has a probe decides about what traffic notices.
    package init(of promises: [Promise], in cluster: RunningCluster) {
        for promise in promises {
            if Self.canBeJudged(promise, cluster) { self.judged.append(promise) } else { self.left.append(promise) }
        }
    }

    private static func canBeJudged(_ promise: Promise, _ cluster: RunningCluster) -> Bool {
        switch promise {
        case .failed(let kind, _), .slowest(let kind, _), .p99(let kind, _): kind == .new && cluster.probe != nil
        case .longestSilence, .recovered: cluster.probe != nil
        case .leaderless, .oneLeaderPerTerm: cluster.servers.count > 1
        case .portsKept, .agreement, .restartedWithin, .openFiles, .memory, .allAlive: true
        // Long streams, numbered bytes and the text of logs are there on a stage of one's own only.
        case .latestEvent, .broken, .noFalseDeath, .noHarm, .cleanLogs: false
        }
    }
}
