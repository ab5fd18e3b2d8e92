import Admin
import ChaosCore

/// Whether the servers of a running cluster tell the same story.
struct RunningAgreement: Sendable {
    let cluster: RunningCluster
    let watch: RunningWatch

    /// Asks until all agree, or until the time is over.
    func wait(within limit: Duration) async -> AgreementRecord {
        let began = ContinuousClock.now
        var record = AgreementRecord()
        while !Task.isCancelled {
            record.differences = await self.differences()
            if record.differences.isEmpty {
                record.after = (ContinuousClock.now - began).inSeconds
                return record
            }
            if ContinuousClock.now - began >= limit { return record }
            try? await Task.sleep(for: .milliseconds(250))
        }
        return record
    }

    private func differences() async -> [String] {
        var differences = await self.watch.look().troubles
        var tales: [(name: String, ports: Set<String>)] = []
        for server in self.cluster.servers {
            let rows: Result<[ExposureRow], StageError> = await self.watch.ask(server, "exposures")
            switch rows {
            case .failure(let error): differences.append(error.description)
            case .success(let rows):
                tales.append(
                    (server.name, Set(rows.map { "\($0.client)/\($0.name) at \($0.port.map(String.init) ?? "no port")" })))
            }
        }
        for tale in tales.dropFirst() where tale.ports != tales[0].ports {
            let odd = tale.ports.symmetricDifference(tales[0].ports).sorted().prefix(3).joined(separator: ", ")
            differences.append("\(tale.name) tells another registry than \(tales[0].name): \(SafeText.line(odd))")
        }
        return differences
    }
}
