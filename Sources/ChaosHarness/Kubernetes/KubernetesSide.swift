import ChaosCore

/// A genuine control plane beside the stand-in apiservers of a stage, and its use by every client through the tunnel: one
/// kube-apiserver on each server's host, reached as a service and by a forward of their own.
package final class KubernetesSide: Sendable {
    package let plane: ControlPlane
    private let places: ChaosPlaces
    private let plan: KubectlPlan
    private let ticker: KubectlTicker
    private let traffic = MutexBox<[KubectlTraffic]>([])

    /// Of the kube-apiservers and of the forwards to them.
    package static let port = 7_443
    package static let service = "kubernetes"

    private init(_ plane: ControlPlane, _ places: ChaosPlaces, _ plan: KubectlPlan) {
        self.plane = plane
        self.places = places
        self.plan = plan
        self.ticker = KubectlTicker(plane, every: plan.tick)
    }

    /// Starts everything but the traffic; to be called before the servers are, whose targets this makes.
    package static func raise(
        _ places: ChaosPlaces, _ programs: KubernetesPrograms, plan: KubectlPlan = KubectlPlan(), leftovers: Leftovers? = nil
    ) async throws -> KubernetesSide {
        let plane = try await ControlPlane.start(self.layout(places), programs, leftovers: leftovers)
        let side = KubernetesSide(plane, places, plan)
        do { try await side.ticker.prepare() } catch {
            await plane.stop()
            throw error
        }
        return side
    }

    static func layout(_ places: ChaosPlaces) -> ControlPlaneLayout {
        ControlPlaneLayout(
            etcdHost: places.controlHost, etcdPort: 12_379, etcdPeerPort: 12_380,
            apiservers: places.servers.filter { !$0.isSpare }.map {
                ControlPlaneLayout.Apiserver(name: self.apiserver(beside: $0), host: $0.host, port: self.port)
            }, folder: places.file("kubernetes"))
    }

    package static func apiserver(beside server: ChaosPlaces.Server) -> String { "kube-\(server.apiserver)" }

    // MARK: Configuration

    /// Lines below `services:` of a server's configuration.
    package static func serviceLines(_ server: ChaosPlaces.Server) -> [String] {
        [
            "    \(self.service):", "      targets: [\"\(server.host.address):\(self.port)\"]",
            "      health: {type: https, path: /readyz, interval: 1s, timeout: 1s, insecure: true}",
        ]
    }

    /// One more item of a client's `forwards`.
    package static func forward(_ client: ChaosPlaces.Client) -> String {
        "{listen: \"\(self.forwardAddress(client))\", service: \(self.service)}"
    }

    /// Every client has an address of its own, as every server has.
    static func forwardAddress(_ client: ChaosPlaces.Client) -> String { "\(client.host.address):\(self.port)" }

    // MARK: Traffic

    /// Has every client use kubectl through its forward, and a control use it past the tunnel.
    ///
    /// - Parameter record: told of each observation.
    package func startTraffic(record: @escaping @Sendable (Observation) -> Void) throws {
        var all: [KubectlTraffic] = []
        for client in self.places.clients {
            let kubeconfig = try self.plane.writeKubeconfig(for: client.name, forward: Self.forwardAddress(client))
            all.append(self.traffic(client.name, client.host, kubeconfig, record))
        }
        if let first = self.plane.layout.apiservers.first {
            all.append(self.traffic("control", first.host, self.plane.directKubeconfig(first.name), record))
        }
        for one in all { one.start() }
        self.ticker.start()
        let started = all
        self.traffic.with { $0 = started }
    }

    private func traffic(
        _ who: String, _ host: StageHost, _ kubeconfig: String, _ record: @escaping @Sendable (Observation) -> Void
    ) -> KubectlTraffic {
        KubectlTraffic(
            who: who, host: host, program: self.plane.programs.kubectl, kubeconfig: kubeconfig, plan: self.plan,
            folder: self.plane.layout.folder, record: record)
    }

    /// Ends the traffic; no process of it is left when this returns.
    package func stopTraffic() async {
        await self.ticker.stop()
        for one in self.traffic.with({ $0 }) { await one.stop() }
    }

    /// Ends everything, also in a task that is cancelled.
    package func strike() async {
        await Task.detached {
            await self.stopTraffic()
            await self.plane.stop()
        }.value
    }
}
