import ChaosCore
import Foundation
import Testing

@testable import ChaosHarness

private let programs: KubernetesPrograms? =
    if case .all(let programs) = KubernetesPrograms.find() { programs } else { nil }

@Suite(
    "A genuine control plane", .serialized, .enabled(if: programs != nil, "kube-apiserver, etcd, kubectl or openssl is missing"))
struct ControlPlaneTests {
    @Test(
        "kubectl gets, lists and watches; an apiserver's death is noticed, and nothing is lost, repeated or changed",
        .timeLimit(.minutes(5)))
    func traffic() async throws {
        let programs = try #require(programs)
        let folder = NSTemporaryDirectory() + "/gotunnel-plane-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let apiservers = try ["apiserver-1", "apiserver-2"].map {
            ControlPlaneLayout.Apiserver(name: $0, host: .loopback, port: try StagePorts.free())
        }
        let layout = ControlPlaneLayout(
            etcdHost: .loopback, etcdPort: try StagePorts.free(), etcdPeerPort: try StagePorts.free(), apiservers: apiservers,
            folder: folder)
        let plane = try await ControlPlane.start(layout, programs)
        do {
            try await self.rehearse(plane, folder)
        } catch {
            await plane.stop()
            throw error
        }
        await plane.stop()
        #expect(!plane.isRunning("apiserver-1") && !plane.isRunning("etcd"))
    }

    private func rehearse(_ plane: ControlPlane, _ folder: String) async throws {
        let ticker = KubectlTicker(plane, every: .milliseconds(500))
        try await ticker.prepare()
        ticker.start()
        let notes = MutexBox<[Observation]>([])
        var plan = KubectlPlan()
        (plan.gets, plan.lists) = (1, 0.5)
        let traffic = KubectlTraffic(
            who: "worker-1", host: .loopback, program: plane.programs.kubectl, kubeconfig: plane.directKubeconfig("apiserver-1"),
            plan: plan, folder: folder
        ) { observation in notes.with { $0.append(observation) } }
        traffic.start()
        func wait(_ what: String, _ condition: ([Observation]) -> Bool) async throws {
            for _ in 0..<1_200 where !condition(notes.with { $0 }) { try await Task.sleep(for: .milliseconds(50)) }
            let holds = condition(notes.with { $0 })
            try #require(holds, "\(what): \(notes.with { $0.suffix(5).map { "\($0.what) \($0.why ?? "")" } })")
        }
        try await wait("answers and events") { all in
            all.contains { $0.what == .opened } && all.count { $0.what == .done } >= 3 && all.count { $0.what == .flow } >= 3
        }
        #expect(notes.with { $0.filter { [.failed, .ended].contains($0.what) } } == [])

        await plane.kill("apiserver-1")
        try await wait("a death") { all in all.contains { $0.what == .ended } && all.contains { $0.what == .failed } }
        let before = ticker.number
        for _ in 0..<600 where ticker.number < before + 2 { try await Task.sleep(for: .milliseconds(50)) }
        #expect(ticker.number >= before + 2, "the other apiserver takes the changes")

        let healed = notes.with { $0.count }
        try await plane.restart("apiserver-1")
        try await wait("a new watch") { all in
            all.dropFirst(healed).contains { $0.what == .opened } && all.dropFirst(healed).contains { $0.what == .flow }
                && all.dropFirst(healed).contains { $0.what == .done }
        }
        await ticker.stop()
        await traffic.stop()
        let all = notes.with { $0 }
        #expect(all.filter { $0.what == .harm } == [])
        #expect(all.allSatisfy { $0.kind == .kubectl && $0.who == "worker-1" })
    }

    @Test("an etcd that cannot run is said to be what keeps the control plane from starting")
    func broken() async throws {
        var programs = try #require(programs)
        programs.etcd = "/bin/false"
        let folder = NSTemporaryDirectory() + "/gotunnel-plane-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let layout = ControlPlaneLayout(
            etcdHost: .loopback, etcdPort: try StagePorts.free(), etcdPeerPort: try StagePorts.free(),
            apiservers: [.init(name: "apiserver-1", host: .loopback, port: try StagePorts.free())], folder: folder)
        let error = await #expect(throws: StageError.self) { _ = try await ControlPlane.start(layout, programs) }
        #expect(error?.description == "etcd ended: see \(folder)/etcd.log")
        #expect(error?.isOfMachine == true)
    }
}
