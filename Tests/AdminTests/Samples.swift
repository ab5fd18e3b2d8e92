@testable import Admin

/// Values of the status types that several tests use.
enum Samples {
    static let time = Timestamp(milliseconds: 1_738_314_307_042)
    static let process = ProcessStatus(
        pid: 42, startedAt: time, uptimeSeconds: 12.5, memoryBytes: 1024, memoryBudgetBytes: 536_870_912,
        residentBytes: 30_000_000,
        openFds: 17)
    static let server = ServerStatus(
        name: "controller-1", version: "0.1.0", ready: true, draining: false, clients: 2, streams: 5,
        services: [
            ServiceStatus(
                name: "apiserver", healthy: true,
                targets: [
                    .init(addr: "127.0.0.1:6443", healthy: true),
                    .init(addr: "127.0.0.1:6444", healthy: false, reason: "refused"),
                ])
        ], process: process,
        sessions: SessionTotals(linked: 2, resumes: 3, resumedBytes: 70_000, replayBytes: 100, bytesIn: 1, bytesOut: 2))
    static let client = ClientStatus(
        name: "k8s-worker-01", version: "0.1.0", ready: true,
        links: [
            LinkStatus(server: "controller-1", addr: "203.0.113.11:17000", state: .active, rttSeconds: 0.0005, since: time),
            LinkStatus(server: nil, addr: "203.0.113.12:17000", state: .down, since: time, reason: "connection refused"),
        ], streams: 1, forwards: [ForwardStatus(listen: "127.0.0.1:6443", service: "apiserver", healthy: true)],
        exposures: [
            ExposureStatus(name: "kubelet", target: "127.0.0.1:10250", port: nil, healthy: true),
            ExposureStatus(name: "ssh", target: "127.0.0.1:22", port: 20022, healthy: false, reason: "refused"),
        ], process: process)
    static let clientRow = ClientRow(
        name: "k8s-worker-01", instance: "00112233445566778899aabbccddeeff", addr: "198.51.100.7:41000",
        servers: ["controller-1"],
        since: time, streams: 5, exposures: ["kubelet", "ssh"], version: "0.1.0", rttSeconds: 0.0005, resumes: 3,
        replayBytes: 100,
        bytesIn: 1, bytesOut: 2)
    static let exposureRow = ExposureRow(
        client: "k8s-worker-01", name: "kubelet", port: nil, healthy: true, servers: ["controller-1"])
    static let streamRow = StreamRow(
        id: 7, client: "k8s-worker-01", kind: .exposure, target: "kubelet", source: "127.0.0.1:50000", state: .halfClosed,
        openedBy: .server, since: time, bytesIn: 10, bytesOut: 20)
}
