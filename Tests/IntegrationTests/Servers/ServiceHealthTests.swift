import Testing

extension Integration {
    /// The backend of one server is down: streams go where it is not.
    @Suite struct ServiceHealthTests {
        @Test func aServerWhoseBackendIsDownIsAvoidedOnceItSaysSo() async throws {
            try await ServerGroup.with { group in
                let (active, standby) = (try await group.active(), try await group.standby())
                let old = try await CountedStream.open(2, port: group.forward)
                try await group.move(to: standby)
                let others = try await CountedStream.open(2, port: group.forward)
                try await group.move(to: active)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(10)
                    await active.backend.stop()
                    try await eventually("\(active.name) to say that its backend is down") {
                        try await active.admin.status()["services"][0]["healthy"].bool == false
                    }
                    try await newcomers.more(30)
                }
                arrivals.afterMark.expectAllServed(least: 40)
                try await (old + others).goOn()
                let refused = "gotunnel_stream_refusals_total{code=\"unhealthy\"}"
                let before = try await active.admin.metric(refused) ?? 0
                let later = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(30)
                }
                later.afterMark.expectAllServed(least: 30)
                #expect(later.afterMark.numbers == [standby.number])
                #expect(try await active.admin.metric(refused) ?? 0 == before, "expected \(active.name) not to be asked at all")
                // One server with a healthy backend is enough.
                #expect(try await group.clientAdmin.status()["forwards"][0]["healthy"].bool == true)
                try await active.backend.startAgain()
                try await eventually("the backend to be found well again") {
                    try await active.admin.status()["services"][0]["healthy"].bool == true
                }
                try await standby.kill()
                #expect(try await group.whoAnswers() !== standby)
                #expect(try await old.finish() == [.whole, .whole])
                #expect(try await others.finish() == [.reset, .reset])
            }
        }

        /// Before anybody has noticed, each stream that is refused goes to the other server at once.
        @Test func aRefusalMovesOnAtOnce() async throws {
            let setup = GroupSetup(servers: 2, service: "health: {type: tcp, interval: 1h}")
            try await ServerGroup.with(setup) { group in
                let (active, standby) = (try await group.active(), try await group.standby())
                let old = try await CountedStream.open(2, port: group.forward)
                await active.backend.stop()
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(30)
                }
                arrivals.afterMark.expectAllServed(least: 30)
                #expect(arrivals.afterMark.numbers == [standby.number])
                #expect(try await group.clientAdmin.metric("gotunnel_failovers_total") ?? 0 >= 1)
                #expect(try await active.admin.metric("gotunnel_stream_refusals_total{code=\"connection_refused\"}") ?? 0 >= 1)
                #expect(try await old.finish() == [.whole, .whole])
            }
        }

        @Test func aBackendThatIsDownEverywhereIsSaid() async throws {
            try await ServerGroup.with(GroupSetup(servers: 2)) { group in
                for server in group.servers { await server.backend.stop() }
                let forward = try await eventually("a forward that is not healthy") {
                    let forward = try await group.clientAdmin.status()["forwards"][0]
                    return forward["healthy"].bool == false ? forward : nil
                }
                #expect(forward["reason"].text == "the server says that the service is down")
                #expect(try await TestConnection.fate(port: group.forward) == .reset)
                try await group.servers[1].backend.startAgain()
                try await group.whenReady()
                #expect(try await group.whoAnswers() === group.servers[1])
            }
        }
    }
}
