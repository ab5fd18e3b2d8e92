/// The tables of the commands, one function for each kind of row.
package enum Tables {
    package static func peers(_ rows: [PeerStatus]) -> Table {
        var table = Table([.init("PEER"), .init("ADDR"), .init("STATE"), .init("RTT", .right), .init("VERSION")])
        for row in rows {
            table.add([row.name, row.addr, row.state.rawValue, HumanText.roundTrip(row.rttSeconds), row.version ?? ""])
        }
        return table
    }

    package static func services(_ rows: [ServiceStatus]) -> Table {
        var table = Table([.init("SERVICE"), .init("HEALTHY"), .init("TARGETS")])
        for row in rows {
            let targets = row.targets.map { $0.healthy ? $0.addr : "\($0.addr) (\($0.reason ?? "down"))" }
            table.add([row.name, yes(row.healthy), targets.joined(separator: ", ")])
        }
        return table
    }

    /// - Parameter now: for the age of sessions.
    package static func clients(_ rows: [ClientRow], now: Timestamp) -> Table {
        var table = Table([
            .init("CLIENT"), .init("ADDR"), .init("LINK"), .init("AGE", .right), .init("RTT", .right), .init("STREAMS", .right),
            .init("EXPOSURES"),
        ])
        for row in rows {
            table.add([
                row.name, row.addr, row.linked ? "up" : "waiting", HumanText.duration(now.seconds(since: row.since)),
                HumanText.roundTrip(row.rttSeconds), "\(row.streams)", row.exposures.joined(separator: ","),
            ])
        }
        return table
    }

    package static func exposures(_ rows: [ExposureRow]) -> Table {
        var table = Table([
            .init("CLIENT"), .init("EXPOSURE"), .init("PORT", .right), .init("HEALTHY"), .init("SERVERS"), .init("REASON"),
        ])
        for row in rows {
            table.add([
                row.client, row.name, row.port.map { "\($0)" } ?? "", yes(row.healthy), row.servers.joined(separator: ","),
                row.reason ?? "",
            ])
        }
        return table
    }

    /// - Parameter now: for the age of streams.
    package static func streams(_ rows: [StreamRow], now: Timestamp) -> Table {
        var table = Table([
            .init("CLIENT"), .init("ID", .right), .init("TARGET"), .init("SOURCE"), .init("STATE"), .init("AGE", .right),
            .init("IN", .right), .init("OUT", .right),
        ])
        for row in rows {
            table.add([
                row.client, "\(row.id)", "\(row.kind == .forward ? "service" : "exposure") \(row.target)", row.source ?? "",
                row.state.rawValue, HumanText.duration(now.seconds(since: row.since)), HumanText.bytes(row.bytesIn),
                HumanText.bytes(row.bytesOut),
            ])
        }
        return table
    }

    package static func links(_ rows: [LinkStatus]) -> Table {
        var table = Table([.init("SERVER"), .init("ADDR"), .init("LINK"), .init("RTT", .right), .init("SINCE"), .init("REASON")])
        for row in rows {
            table.add([
                row.server ?? "", row.addr, row.state.rawValue, HumanText.roundTrip(row.rttSeconds),
                // To the second: `2025-01-31T09:05:07Z`.
                row.since.description.prefix(19) + "Z", row.reason ?? "",
            ])
        }
        return table
    }

    package static func forwards(_ rows: [ForwardStatus]) -> Table {
        var table = Table([.init("FORWARD"), .init("SERVICE"), .init("HEALTHY"), .init("REASON")])
        for row in rows { table.add([row.listen, row.service, yes(row.healthy), row.reason ?? ""]) }
        return table
    }

    package static func exposures(_ rows: [ExposureStatus]) -> Table {
        var table = Table([.init("EXPOSURE"), .init("TARGET"), .init("PORT", .right), .init("HEALTHY"), .init("REASON")])
        for row in rows {
            table.add([row.name, row.target, row.port.map { "\($0)" } ?? "", yes(row.healthy), row.reason ?? ""])
        }
        return table
    }

    private static func yes(_ value: Bool) -> String { value ? "yes" : "NO" }
}
