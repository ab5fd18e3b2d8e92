import Admin
import Foundation

/// How much a slow backend is asked for twice: what the client counts, and what the backend sees.
struct HedgeShare: Sendable {
    let dialHedges: Double
    let opens: Double
    let backendConnections: Double
    let requests: Int

    /// Reads the client's metrics and the backend's counts.
    init(_ stage: Stage, _ report: RequestsReport) async throws {
        let metrics = String(
            decoding: try await AdminClient(socket: stage.clientSocket, timeout: .seconds(5)).raw("/metrics"), as: UTF8.self)
        self.dialHedges = Self.value(of: "gotunnel_hedged_opens_total{stage=\"dial\"}", in: metrics)
        self.opens = Self.value(of: "gotunnel_streams_opened_total{opener=\"local\"}", in: metrics)
        self.requests = report.requests.count { $0.path == .forward }
        self.backendConnections = Double(try stage.stats(of: stage.places[0]).httpsConnections)
    }

    /// A broken promise, or nil: dial hedges stay under 5 % of the opens, the backend sees at most 1.05 connections a request.
    var problem: String? {
        let (hedged, seen) = (self.dialHedges / max(1, self.opens), self.backendConnections / Double(max(1, self.requests)))
        if hedged >= 0.05 { return "dial hedges were \(Self.percent(hedged)) of \(Int(self.opens)) opens" }
        if seen > 1.05 { return "the backend saw \(Self.percent(seen)) of the \(self.requests) requests as connections" }
        return self.opens < 100 ? "only \(Int(self.opens)) streams were opened" : nil
    }

    private static func percent(_ share: Double) -> String { String(format: "%.1f %%", share * 100) }

    static func value(of series: String, in metrics: String) -> Double {
        metrics.split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { Double($0.dropFirst(series.count + 1)) } ?? 0
    }
}

extension Stage {
    /// What a backend has counted.
    func stats(of place: Place) throws -> BackendStats {
        let host = self.plan.isFar ? self.lab?.farHost ?? place.host : place.host
        return try self.stats(at: host.address, place.httpsPort, on: host, place.name)
    }

    func stats(at address: String, _ port: Int, on host: StageHost, _ name: String) throws -> BackendStats {
        let text = try Shell.run(host.command(["curl", "-sk", "--max-time", "5", "https://\(address):\(port)/stats"]))
        do {
            return try JSONDecoder().decode(BackendStats.self, from: Data(text.utf8))
        } catch {
            throw StageError("the backend of \(name) does not say what it counted: \(error)")
        }
    }
}
