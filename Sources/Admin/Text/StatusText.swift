/// The screen of `gotunnelctl status`: a daemon at a glance, in plain text.
package enum StatusText {
    /// - Parameter width: of the terminal; `nil` cuts nothing.
    package static func render(_ status: DaemonStatus, width: Int? = nil) -> String {
        switch status {
        case .server(let server): render(server, width)
        case .client(let client): render(client, width)
        }
    }

    private static func render(_ status: ServerStatus, _ width: Int?) -> String {
        var lines = [
            headline(
                status.name, "server \(status.version), \(status.role.rawValue)", status.ready, status.reason, status.draining),
            "clients \(status.clients)   streams \(status.streams)   \(sessions(status.sessions))",
            process(status.process),
        ]
        if status.role != .single {
            lines.append("leader \(status.leader.map { SafeText.line($0) } ?? "none")   term \(status.term)")
        }
        var text = lines.joined(separator: "\n") + "\n"
        if !status.peers.isEmpty { text += "\n" + Tables.peers(status.peers).render(width: width) }
        if !status.services.isEmpty { text += "\n" + Tables.services(status.services).render(width: width) }
        return text
    }

    private static func render(_ status: ClientStatus, _ width: Int?) -> String {
        var text = [
            headline(status.name, "client \(status.version)", status.ready, status.reason, status.draining),
            "streams \(status.streams)   \(sessions(status.sessions))",
            process(status.process),
        ].joined(separator: "\n")
        text += "\n"
        if !status.links.isEmpty { text += "\n" + Tables.links(status.links).render(width: width) }
        if !status.forwards.isEmpty { text += "\n" + Tables.forwards(status.forwards).render(width: width) }
        if !status.exposures.isEmpty { text += "\n" + Tables.exposures(status.exposures).render(width: width) }
        return text
    }

    private static func headline(_ name: String, _ what: String, _ ready: Bool, _ reason: String?, _ draining: Bool) -> String {
        let state = ready ? "ready" : "NOT READY" + (reason.map { ": \(SafeText.line($0))" } ?? "")
        let more = draining && reason != "draining" ? ", draining" : ""
        return "\(SafeText.line(name)): \(SafeText.line(what)), \(state)\(more)"
    }

    private static func sessions(_ totals: SessionTotals) -> String {
        "sessions \(totals.linked) linked, \(totals.waiting) waiting   resumes \(totals.resumes)"
            + (totals.resumes > 0 ? " (\(HumanText.bytes(totals.resumedBytes)) sent again)" : "")
    }

    private static func process(_ process: ProcessStatus) -> String {
        "up \(HumanText.duration(process.uptimeSeconds))   buffers \(HumanText.bytes(process.memoryBytes))"
            + " of \(HumanText.bytes(process.memoryBudgetBytes))   resident \(HumanText.bytes(process.residentBytes))"
            + "   fds \(process.openFds)"
    }
}
