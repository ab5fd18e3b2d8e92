import NIOCore
import NIOPosix

/// Keeps long streams open that carry the counted pattern both ways, and says what each of them saw.
package final class StreamTraffic: Sendable {
    private let plan: StreamsPlan
    private let order = StopOrder()

    package init(_ plan: StreamsPlan) { self.plan = plan }

    /// Runs until the time is over or no stream is left.
    ///
    /// - Parameter opened: called once, with the number of open streams, when each has opened or ended.
    package func run(opened: @escaping @Sendable (Int) -> Void = { _ in }) async throws -> StreamsReport {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.any()
        let report = loop.makePromise(of: StreamsReport.self)
        loop.execute { [plan, order] in
            let run = NIOLoopBound(StreamsRun(plan, loop: loop, onOpened: opened, report: report), eventLoop: loop)
            order.whenGiven { loop.execute { run.value.stop() } }
            run.value.begin()
        }
        let result = try await report.futureResult.get()
        order.forget()
        try await group.shutdownGracefully()
        return result
    }

    /// Ends the run; what is open is reported as open. From any thread.
    package func stop() { order.give() }
}
