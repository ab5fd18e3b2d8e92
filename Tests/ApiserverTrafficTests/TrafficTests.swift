import ChaosCore
import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import ApiserverTraffic

/// A load against genuine stand-ins, on the loopback.
@Suite("Traffic over sockets", .serialized) struct TrafficTests {
    /// A folder of its own for the records.
    private final class Records {
        let folder = FileManager.default.temporaryDirectory.appending(path: "traffic-\(UInt64.random(in: 0...(.max)))").path

        init() throws { try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true) }

        deinit { try? FileManager.default.removeItem(atPath: self.folder) }

        func recorder(_ who: String) throws -> Recorder { try Recorder(path: "\(self.folder)/\(who)", who: who) }

        func all(_ who: String) throws -> [Observation] {
            let data = try Data(contentsOf: URL(filePath: "\(self.folder)/\(who)"))
            return try data.split(separator: UInt8(ascii: "\n")).map { try JSONDecoder().decode(Observation.self, from: $0) }
        }
    }

    private static func plan(_ apiserver: SocketAddress) -> LoadPlan {
        var layout = TrafficLayout()
        (layout.new, layout.get, layout.watches, layout.execs) = (20, 20, 4, 2)
        (layout.eventInterval, layout.lists, layout.listBytes, layout.uploads, layout.uploadBytes) = (
            50, 2, 256 << 10, 2, 128 << 10
        )
        layout.patience = 5
        var plan = LoadPlan(who: "worker-1", traffic: layout)
        plan.apiserver = "127.0.0.1:\(apiserver.port ?? 0)"
        return plan
    }

    private static func apiserver(_ records: Records, _ name: String, port: Int = 0) async throws -> (StandInApiserver, Recorder)
    {
        let recorder = try records.recorder(name)
        let apiserver = try await StandInApiserver.start(
            name: name, listen: try SocketAddress(ipAddress: "127.0.0.1", port: port), interval: .milliseconds(50),
            recorder: recorder)
        return (apiserver, recorder)
    }

    @Test("every kind of traffic is answered, nothing is harmed, and a stop in order is no failure")
    func everythingIsWell() async throws {
        let records = try Records()
        let (apiserver, notes) = try await Self.apiserver(records, "apiserver-1")
        let load = try await LoadRun.start(Self.plan(apiserver.address), recorder: try records.recorder("worker-1"))
        try await Task.sleep(for: .seconds(2))
        try await load.stop()
        try await apiserver.stop()
        notes.finish()
        let all = try records.all("worker-1")
        for kind in [Observation.Kind.new, .get, .list, .upload] {
            #expect(all.contains { $0.kind == kind && $0.what == .done }, "\(kind)")
        }
        #expect(Set(all.filter { $0.kind == .get && $0.what == .done }.map(\.http)) == ["1.1", "2"])
        #expect(all.filter { $0.what == .failed || $0.what == .ended || $0.what == .harm }.isEmpty)
        #expect(
            all.count { $0.kind == .watch && $0.what == .done } == 4 && all.count { $0.kind == .exec && $0.what == .done } == 2)
        #expect(all.contains { $0.kind == .watch && $0.what == .flow } && all.contains { $0.kind == .exec && $0.what == .flow })
        let taken = try records.all("apiserver-1")
        #expect(
            taken.allSatisfy { $0.what == .accepted } && taken.contains { $0.kind == .upload }
                && taken.contains { $0.kind == .exec })
    }

    @Test("a watch goes on at another apiserver from its last event: nothing is lost and nothing comes twice")
    func aWatchGoesOn() async throws {
        let records = try Records()
        let (first, firstNotes) = try await Self.apiserver(records, "apiserver-1")
        var plan = Self.plan(first.address)
        (plan.traffic.execs, plan.traffic.lists, plan.traffic.uploads) = (0, 0, 0)
        let load = try await LoadRun.start(plan, recorder: try records.recorder("worker-1"))
        try await Task.sleep(for: .seconds(1))
        first.dropConnections()
        try await first.stop()
        firstNotes.finish()
        try await Task.sleep(for: .milliseconds(300))
        let (second, secondNotes) = try await Self.apiserver(records, "apiserver-2", port: first.address.port ?? 0)
        try await Task.sleep(for: .seconds(2))
        try await load.stop()
        try await second.stop()
        secondNotes.finish()
        let all = try records.all("worker-1")
        #expect(all.count { $0.kind == .watch && $0.what == .ended } == 4)
        #expect(all.count { $0.kind == .watch && $0.what == .opened } == 8)
        #expect(all.filter { $0.what == .harm }.isEmpty)
        // The gap shows as lateness: the events of those 300 ms came when the watch was there again.
        #expect(all.contains { $0.kind == .watch && $0.what == .flow && ($0.took ?? 0) > 0.2 })
        #expect(all.contains { $0.kind == .new && $0.what == .failed && $0.why == "connection refused" })
        #expect(all.contains { $0.by == "apiserver-2" })
    }

    @Test("an apiserver that takes a connection and says nothing lets requests fail after their patience")
    func silence() async throws {
        let records = try Records()
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        var plan = Self.plan(try #require(silent.localAddress))
        (plan.traffic.watches, plan.traffic.execs, plan.traffic.patience) = (0, 0, 0.5)
        let load = try await LoadRun.start(plan, recorder: try records.recorder("worker-1"))
        try await Task.sleep(for: .seconds(2))
        try await load.stop()
        try await silent.close()
        let all = try records.all("worker-1").filter(\.isRequest)
        #expect(!all.isEmpty && all.allSatisfy { $0.what == .failed })
        #expect(all.contains { $0.why?.hasPrefix("no answer within") == true })
        #expect(all.allSatisfy { ($0.took ?? 0) < 3 })
    }

    @Test("streams to a kubelet, as controllers have them, are checked at both ends")
    func kubelets() async throws {
        let records = try Records()
        var worker = LoadPlan(who: "worker-1", traffic: TrafficLayout())
        let place = try await Self.freePlace()
        worker.kubelet = place
        let kubelet = try await LoadRun.start(worker, recorder: try records.recorder("worker-1"))
        var controller = LoadPlan(who: "controller-1", traffic: TrafficLayout())
        (controller.mapped, controller.streamsPerMapped) = ([place], 3)
        let load = try await LoadRun.start(controller, recorder: try records.recorder("controller-1"))
        try await Task.sleep(for: .seconds(1))
        try await load.stop()
        try await kubelet.stop()
        let all = try records.all("controller-1")
        #expect(all.count { $0.what == .opened } == 3 && all.count { $0.what == .done } == 3)
        #expect(all.filter { $0.what == .harm || $0.what == .ended }.isEmpty)
        #expect(Set(try records.all("worker-1").compactMap(\.id)).count == 3)
    }

    private static func freePlace() async throws -> String {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        try await channel.close()
        return "127.0.0.1:\(port)"
    }

    @Test("what nobody can be is refused with a line", arguments: ["nonsense", "127.0.0.1", "host:80", "127.0.0.1:x"])
    func addresses(_ text: String) {
        #expect(throws: TrafficTrouble.self) { try LoadWork.address(text) }
    }
}
