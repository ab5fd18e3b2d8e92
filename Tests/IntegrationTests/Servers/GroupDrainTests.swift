import Testing

extension Integration {
    /// A server is drained while others are there.
    @Suite struct GroupDrainTests {
        @Test func newConnectionsGoElsewhereAndOldStreamsFinish() async throws {
            try await ServerGroup.with(GroupSetup(hasExposure: true)) { group in
                let (active, standby, third) = (try await group.active(), try await group.standby(), try await group.third())
                let old = try await CountedStream.open(3, port: group.forward)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(10)
                    #expect(try await active.admin.ctl("drain").end == .exit(0))
                    try await Self.whenDraining(active, group)
                    try await newcomers.more(20)
                    // A server that drains is no link for new streams, so another one is made.
                    try await eventually("a link to \(third.name)", within: .seconds(20)) {
                        ["active", "standby"].contains(try await group.link(to: third)["state"].text)
                    }
                    try await old.goOn()
                }
                arrivals.afterMark.expectAllServed(least: 30)
                let later = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(20)
                }
                later.afterMark.expectAllServed()
                #expect(!later.afterMark.numbers.contains(active.number))
                try await eventually("mapped ports at the others") {
                    let others = try await [group.isMapped(at: standby), group.isMapped(at: third)]
                    return others == [true, true]
                }
                #expect(try await active.admin.ctl("undrain").end == .exit(0))
                try await eventually("a link that says nothing of a drain") {
                    let link = try await group.link(to: active)
                    return link["reason"] == .null && ["active", "standby"].contains(link["state"].text)
                }
                try await group.move(to: active)
                #expect(try await group.whoAnswers() === active)
                try await eventually("the mapped port of \(active.name) to be back") { try await group.isMapped(at: active) }
                #expect(try await old.finish() == [.whole, .whole, .whole])
            }
        }

        @Test func theThirdTakesOverFromTwoThatAreDrained() async throws {
            try await ServerGroup.with { group in
                let (active, standby, third) = (try await group.active(), try await group.standby(), try await group.third())
                let old = try await CountedStream.open(2, port: group.forward)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(10)
                    for server in [active, standby] { #expect(try await server.admin.ctl("drain").end == .exit(0)) }
                    try await eventually("\(third.name) to be active", within: .seconds(20)) {
                        try await group.link(to: third)["state"].text == "active"
                    }
                    try await newcomers.more(20)
                }
                arrivals.afterMark.expectAllServed(least: 30)
                #expect(arrivals.afterMark.last?.number == third.number)
                #expect(try await old.finish() == [.whole, .whole])
            }
        }

        @Test func theDeadlineResetsTheRest() async throws {
            try await ServerGroup.with(GroupSetup(server: "drain_timeout: 1s")) { group in
                let (active, standby) = (try await group.active(), try await group.standby())
                let left = try await CountedStream.open(3, port: group.forward)
                try await group.move(to: standby)
                let kept = try await CountedStream.open(3, port: group.forward)
                try await group.move(to: active)
                let arrivals = try await Newcomers.during(port: group.forward) { newcomers in
                    newcomers.mark()
                    try await newcomers.more(10)
                    #expect(try await active.admin.ctl("drain", "--wait").end == .exit(0))
                    for stream in left { try await stream.whenReset() }
                    try await newcomers.more(20)
                }
                arrivals.afterMark.expectAllServed(least: 30)
                #expect(try await left.finish() == [.reset, .reset, .reset])
                #expect(try await kept.finish() == [.whole, .whole, .whole])
            }
        }

        private static func whenDraining(_ server: GroupServer, _ group: ServerGroup) async throws {
            try await eventually("the client to show that \(server.name) drains") {
                let link = try await group.link(to: server)
                return link["state"].text == "standby" && link["reason"].text == "the server drains"
            }
        }
    }
}
