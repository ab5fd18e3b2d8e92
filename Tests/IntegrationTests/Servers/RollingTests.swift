import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// One server after the other goes away and comes back, as in an upgrade; and links that go silent.
    @Suite struct RollingTests {
        /// By SIGTERM, which drains, and by SIGKILL; each server is another instance afterwards, at the same address.
        @Test(arguments: [SIGTERM, SIGKILL])
        func everyServerIsRestartedInTurn(signal: Int32) async throws {
            try await ServerGroup.with(GroupSetup(hasExposure: true)) { group in
                // The active one first, then whatever has taken over.
                for server in try await [group.active()] + group.servers {
                    let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                        try await newcomers.more(10)
                        // A drain costs nobody anything; who was being served by a killed process may be cut.
                        if signal == SIGTERM { newcomers.mark() }
                        try server.signal(signal)
                        if signal == SIGKILL { newcomers.mark() }
                        #expect(try await server.program.exit() == (signal == SIGTERM ? .exit(0) : .signal(signal)))
                        try await group.start([server])
                        try await group.whenReady()
                        try await newcomers.more(10)
                    }
                    arrivals.afterMark.expectAllServed(least: 10)
                }
                for server in try await group.linked() {
                    try await eventually("the mapped port of \(server.name) to answer") { try await group.isMapped(at: server) }
                }
            }
        }

        /// The process is another one before the client has dialled again: the old session is over, the new one takes its place.
        @Test func aServerThatIsBackAtOnce() async throws {
            try await ServerGroup.with(GroupSetup(servers: 1, hasExposure: true, links: 1)) { group in
                let server = group.servers[0]
                for _ in 0..<3 {
                    let stream = try await CountedStream.open(port: group.forward)
                    let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                        try await newcomers.more(10)
                        try await server.kill()
                        newcomers.mark()
                        try await group.start([server])
                        try await eventually("the client to be back", within: .seconds(20)) {
                            try await server.admin.status()["clients"].int == 1
                        }
                        try await newcomers.more(20)
                    }
                    arrivals.afterMark.expectAllServed(least: 20)
                    #expect(try await stream.finish() == .reset)
                }
                try await eventually("the mapped port to answer") { try await group.isMapped(at: server) }
            }
        }

        /// Every byte of the active link vanishes from now on: new connections are asked for elsewhere, and the session goes
        /// on over another link when the silence was noticed.
        @Test func aLinkThatGoesSilent() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2, hasProxies: true)) { group in
                let (active, standby) = (try await group.active(), try await group.standby())
                let shaken = try await CountedStream.open(3, port: group.forward)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    try await newcomers.more(20)
                    newcomers.mark()
                    try await active.proxy?.breakAll(.silence)
                    try await newcomers.more(20)
                    #expect(try await group.whoAnswers() === standby)
                    try await shaken.goOn()
                    try await newcomers.more(10)
                }
                arrivals.afterMark.expectAllServed(least: 30)
                #expect(try await shaken.finish() == [.whole, .whole, .whole])
                #expect(try await group.clientAdmin.metric("gotunnel_session_resumes_total") == 1)
            }
        }
    }
}
