import NIOCore
import NIOPosix
import NIOSSL

/// Starts short requests by a fixed schedule, and says how long each took from the moment it was due.
///
/// The schedule never waits for answers (an *open loop*): a stall is seen by every request that was due in it, not by one.
/// Both paths share one event loop, so whatever the generator itself costs shows in the control as well.
package final class RequestTraffic: Sendable {
    private let plan: RequestsPlan
    private let order = StopOrder()

    package init(_ plan: RequestsPlan) { self.plan = plan }

    /// Runs until the last answer.
    ///
    /// - Parameter started: called when the schedule stands.
    package func run(started: @escaping @Sendable () -> Void = {}) async throws -> RequestsReport {
        let tls = try Self.tlsContext()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.any()
        let report = loop.makePromise(of: RequestsReport.self)
        loop.execute { [plan, order] in
            let run = NIOLoopBound(RequestsRun(plan, loop: loop, tls: tls, report: report), eventLoop: loop)
            order.whenGiven { loop.execute { run.value.stop() } }
            run.value.begin()
            started()
        }
        let result = try await report.futureResult.get()
        order.forget()
        try await group.shutdownGracefully()
        return result
    }

    /// Starts no more requests; those under way are awaited, at most as long as a request may take. From any thread.
    package func stop() { order.give() }

    /// Verifies nothing, because stand-ins make their certificates up. There is no session cache: every handshake is a full one.
    private static func tlsContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.trustRoots = .certificates([])
        return try NIOSSLContext(configuration: configuration)
    }
}
