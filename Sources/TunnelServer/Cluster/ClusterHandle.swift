import Admin
import ClusterCore
import NIOCore
import Synchronization
import TunnelWire

/// The way to the control plane for everybody who is not on its event loop.
final class ClusterHandle: Sendable {
    private let runtime = Mutex<NIOLoopBound<ClusterRuntime>?>(nil)
    private let values = Mutex(ClusterMetrics.Values())
    private let leaderChanges = Atomic<Int>(0)

    /// For the metrics, from any thread.
    var metrics: (values: ClusterMetrics.Values, leaderChanges: Int) {
        (self.values.withLock { $0 }, self.leaderChanges.load(ordering: .relaxed))
    }

    func set(_ values: ClusterMetrics.Values) { self.values.withLock { $0 = values } }

    func leaderChanged() { self.leaderChanges.wrappingAdd(1, ordering: .relaxed) }

    func connect(_ runtime: NIOLoopBound<ClusterRuntime>) { self.runtime.withLock { $0 = runtime } }

    private var bound: NIOLoopBound<ClusterRuntime>? { self.runtime.withLock { $0 } }

    func post(_ event: ClusterEvent) {
        guard let bound = self.bound else { return }
        bound.eventLoop.execute { bound.value.handle(event) }
    }

    /// A message that came by a data session.
    func received(_ message: ByteBuffer, from name: ServerName) {
        guard let bound = self.bound else { return }
        bound.eventLoop.execute { bound.value.received(message, from: name) }
    }

    /// Has something done by whoever leads.
    func ask(_ event: @escaping @Sendable (_ id: UInt64) -> ClusterEvent) async throws -> RequestOutcome {
        guard let bound = self.bound else { throw ClusterRuntime.StoppedError() }
        return try await bound.eventLoop.flatSubmit { bound.value.ask(event) }.get()
    }

    /// What is known of the cluster.
    func view() async -> ClusterView {
        guard let bound = self.bound else { return ClusterView() }
        return (try? await bound.eventLoop.submit { bound.value.currentView }.get()) ?? ClusterView()
    }

    /// Calls `body` once the control plane and its disk have come to it; at once where there is none yet.
    func whenAlive(_ body: @escaping @Sendable () -> Void) {
        guard let bound = self.bound else { return body() }
        bound.eventLoop.execute { bound.value.whenDiskIsIdle(body) }
    }

    #if FAULTS
    /// Runs `body` on the control plane's event loop, for tests.
    func post(_ body: @escaping @Sendable () -> Void) { self.bound?.eventLoop.execute(body) }

    /// Runs `body` where the state is written, for tests.
    func blockDisk(_ body: @escaping @Sendable () -> Void) {
        guard let bound = self.bound else { return }
        bound.eventLoop.execute { bound.value.whenDiskIsIdle(body) }
    }
    #endif

    func stop() async {
        guard let bound = self.bound else { return }
        try? await bound.eventLoop.submit { bound.value.stop() }.get()
    }
}
