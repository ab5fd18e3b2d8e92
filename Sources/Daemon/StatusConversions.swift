import Admin
import Timing
import TunnelSession
import TunnelTransport
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

extension ProcessStatus {
    /// The process that asks.
    package static func current(
        since startedAt: Timestamp, budget: MemoryBudget, handoff: IncomingHandoff?
    ) -> ProcessStatus {
        ProcessStatus(
            pid: getpid(), startedAt: startedAt, uptimeSeconds: Timestamp.now().seconds(since: startedAt),
            memoryBytes: budget.held, memoryBudgetBytes: budget.limit, residentBytes: ProcessUsage.residentBytes(),
            openFds: ProcessUsage.openFds(), handoff: handoff?.outcome.status)
    }
}

extension StreamRow {
    /// A stream of a session with `client`. `openedHereBy` is what this process is.
    package init(_ stream: StreamSnapshot, client: String, openedHereBy role: Opener, now: Timestamp) {
        let other: Opener = role == .server ? .client : .server
        let opener = stream.isOpenedHere ? role : other
        let name =
            switch stream.destination {
            case .service(let name): name
            case .exposure(_, let name): name
            case .address(let host, let port): "\(host):\(port)"
            }
        self.init(
            id: stream.id, client: client, kind: opener == .client ? .forward : .exposure, target: name, source: stream.source,
            state: stream.isOpen ? .open : .opening, openedBy: opener,
            since: Timestamp(milliseconds: now.milliseconds - stream.age.wholeMilliseconds),
            bytesIn: Int(clamping: stream.bytesToLocal), bytesOut: Int(clamping: stream.bytesFromLocal))
    }
}
