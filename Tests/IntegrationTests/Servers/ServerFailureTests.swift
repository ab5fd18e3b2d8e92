import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// Whatever happens to a server, new connections are served, and streams that do not need it go on to the byte.
    @Suite struct ServerFailureTests {
        @Test func aKilledServerIsNotMissed() async throws {
            try await ServerGroup.with { group in
                let (active, standby, third) = (try await group.active(), try await group.standby(), try await group.third())
                let lost = try await CountedStream.open(3, port: group.forward)
                try await group.move(to: standby)
                let kept = try await CountedStream.open(3, port: group.forward)
                try await group.move(to: active)
                #expect(lost.allSatisfy { $0.number == active.number } && kept.allSatisfy { $0.number == standby.number })
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    try await newcomers.more(20)
                    try active.signal(SIGKILL)
                    newcomers.mark()
                    try await newcomers.more(50)
                    try await group.whenLinked(to: [standby, third].sorted { $0.number < $1.number })
                    try await kept.goOn()
                    try await newcomers.more(20)
                }
                arrivals.afterMark.expectAllServed(least: 70)
                #expect(!arrivals.afterMark.numbers.contains(active.number))
                #expect(try await lost.finish() == [.reset, .reset, .reset])
                // Started again, it is a server like any other: needed once the second one is gone as well.
                try await group.start([active])
                try await standby.kill()
                try await group.whenLinked(to: [active, third].sorted { $0.number < $1.number }, within: .seconds(40))
                #expect(try await kept.finish() == [.reset, .reset, .reset])
                #expect(try await [active.number, third.number].contains(group.whoAnswers().number))
            }
        }

        @Test func aServerThatIsStoppedAndGoesOn() async throws {
            try await ServerGroup.with { group in
                let (active, standby) = (try await group.active(), try await group.standby())
                let shaken = try await CountedStream.open(3, port: group.forward)
                try await group.move(to: standby)
                let kept = try await CountedStream.open(3, port: group.forward)
                try await group.move(to: active)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    try await newcomers.more(20)
                    try active.signal(SIGSTOP)
                    newcomers.mark()
                    try await Task.sleep(for: .seconds(6))
                    try await kept.goOn()
                    try active.signal(SIGCONT)
                    try await newcomers.more(50)
                }
                arrivals.afterMark.expectAllServed(least: 100)
                #expect(try await kept.finish() == [.whole, .whole, .whole])
                // Resumed or reset, but never with a byte that does not belong there: that throws.
                let fates = try await shaken.finish()
                #expect(fates.count == 3)
                let accepted = try await group.clientAdmin.metric("gotunnel_hedged_opens_total{stage=\"accept\"}")
                #expect((accepted ?? 0) >= 1, "expected what the stopped server did not accept to be asked for elsewhere")
            }
        }

        @Test func linksThatAreResetTwentyTimes() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, hasProxies: true)) { group in
                let (active, standby) = (try await group.active(), try await group.standby())
                var streams = try await CountedStream.open(3, port: group.forward)
                try await group.move(to: standby)
                streams += try await CountedStream.open(3, port: group.forward)
                try await group.move(to: active)
                let all = streams
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    for turn in 0..<20 {
                        // Every fourth time both links at once.
                        try await Self.reset(turn % 4 == 3 ? [active, standby] : [turn % 4 == 2 ? standby : active], of: group)
                        try await newcomers.more(3)
                    }
                    try await all.goOn()
                }
                arrivals.afterMark.expectAllServed(least: 60)
                #expect(try await all.finish() == Array(repeating: .whole, count: 6))
                let (client, log) = (group.clientAdmin, try group.client.log)
                #expect(try await client.metric("gotunnel_session_resumes_total") == 25)
                #expect(log.split(separator: "\n").count { $0.contains("connected to server") } == 2)
            }
        }

        /// Resets the links to these servers and waits until their sessions go on.
        private static func reset(_ servers: [GroupServer], of group: ServerGroup) async throws {
            let client = group.clientAdmin
            let before = try await client.status()["sessions"]["resumes"].int ?? 0
            for server in servers { try await server.proxy?.breakAll(.reset) }
            try await eventually("\(servers.count) sessions to be resumed after \(before)", within: .seconds(20)) {
                let sessions = try await client.status()["sessions"]
                return sessions["resumes"].int == before + servers.count && sessions["linked"].int == 2
            }
        }

        @Test func connectionsAreHeldWhileEveryServerIsGone() async throws {
            try await ServerGroup.with { group in
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    try await newcomers.more(20)
                    for server in group.servers { try server.signal(SIGKILL) }
                    newcomers.mark()
                    let begin = ContinuousClock.now
                    for server in group.servers { _ = try await server.program.exit() }
                    try await Task.sleep(until: begin + .seconds(3), clock: .continuous)
                    try await group.start(group.servers)
                    try await newcomers.more(50)
                }
                arrivals.afterMark.expectAllServed(least: 100)
                let held = try await group.clientAdmin.metric("gotunnel_held_opens_total") ?? 0
                #expect(held >= 20, "expected the connections of three seconds to have been held, got \(held)")
                try await group.whenReady()
            }
        }

        @Test func aConnectionIsNotHeldForEver() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2)) { group in
                for server in group.servers { try await server.kill() }
                try await eventually("a client without links") { try await group.linked().isEmpty }
                #expect(try await TestConnection.fate(port: group.forward, within: .seconds(30)) == .reset)
                let reason = try group.client.logLines.last { $0.contains("stream refused") }
                #expect(reason?.contains("no server could be reached for 5 s") == true, "\(reason ?? "no line")")
                try await group.start(group.servers)
                try await group.whenReady(within: .seconds(40))
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(20)
                }
                arrivals.afterMark.expectAllServed()
            }
        }

        /// A server that answers late, again and again: what it does not accept in time is asked for elsewhere.
        @Test func aServerThatStallsIsHedged() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, hasProxies: true)) { group in
                let kept = try await CountedStream.open(2, port: group.forward)
                let client = group.clientAdmin
                let series = "gotunnel_hedged_opens_total{stage=\"accept\"}"
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    for _ in 0..<3 {
                        try await newcomers.more(10)
                        let before = try await client.metric(series) ?? 0
                        let stalled = try await group.active()
                        try await stalled.proxy?.pause()
                        try await Task.sleep(for: .seconds(1))
                        try await stalled.proxy?.heal()
                        try await eventually("hedged openings, more than \(before)") {
                            (try await client.metric(series) ?? 0) > before
                        }
                        try await eventually("a link that is trusted again", within: .seconds(20)) {
                            ["active", "standby"].contains(try await group.link(to: stalled)["state"].text)
                        }
                    }
                }
                arrivals.afterMark.expectAllServed(least: 100)
                #expect(arrivals.afterMark.numbers == [1, 2])
                #expect(try await kept.finish() == [.whole, .whole])
                #expect(try await client.metric("gotunnel_session_resumes_total") == 0, "expected no link to have been given up")
            }
        }
    }
}
