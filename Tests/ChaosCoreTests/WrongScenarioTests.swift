import ChaosCore
import Settings
import Testing

/// Files that are wrong in one point: each is answered by one line that says where, what, and how to mend it.
@Suite("Scenario files with a mistake") struct WrongScenarioTests {
    /// What is line 2 of the file, and what is said of it after the file's name.
    static let faults: [(String, String)] = [
        ("{do: kil, who: leader, at: 1s, for: 1s}", "do: there is no fault \"kil\"; write do: kill"),
        ("{do: explode, who: leader, at: 1s}", "do: there is no fault \"explode\"; there are: clock, cut, cut_one_way, delay"),
        ("{who: leader, at: 1s, for: 1s}", "do: it does not say what is done; write do: kill"),
        ("{do: kill, who: lieder, at: 1s, for: 1s}", "who: \"lieder\" is neither a name nor one of any server"),
        ("{do: kill, at: 1s, for: 1s}", "who: it does not say whom it meets; write who: leader"),
        (
            "{do: kill, who: leader, for: 1s}",
            "at: it does not say when it comes; write one of at: 10s, every: 5s, random: 3s..10s"
        ),
        ("{do: kill, who: leader, at: 1s, every: 2s, for: 1s}", "at: it has more than one time: at, every; write one of"),
        ("{do: kill, who: leader, at: 1s, first: 2s, for: 1s}", "first: unknown key; known here: at, do, for, who"),
        ("{do: kill, who: leader, at: soon, for: 1s}", "at: expected a duration from 1ms to 24h, found \"soon\"; write at: 5s"),
        ("{do: kill, who: leader, at: 1s, for: 5s..2s}", "for: expected a duration, or a range such as 2s..4s, found \"5s..2s\""),
        ("{do: kill, who: leader, at: 1s, for: 2s..4s..6s}", "for: expected a duration, or a range such as 2s..4s"),
        ("{do: kill, who: leader, at: 1s, for: 2s.4s}", "for: expected a duration, or a range such as 2s..4s"),
        ("{do: kill, who: leader, at: 1s, for: 1s, colour: red}", "colour: unknown key; known here: at, do, for, who"),
        (
            "{do: kill, between: [leader, worker-1], at: 1s, for: 1s}",
            "between: kill has no two sides; write who: leader in its place"
        ),
        (
            "{do: cut, between: [worker-1], at: 1s, for: 1s}",
            "between: it names 1 of two sides; write between: [worker-1, active]"
        ),
        ("{do: cut, between: [worker-1, leader, active], at: 1s, for: 1s}", "between: it names 3 of two sides"),
        ("{do: cut, between: [worker-1, leder], at: 1s, for: 1s}", "between[1]: \"leder\" is neither a name nor one of"),
        ("{do: cut, who: leader, between: [worker-1, active], at: 1s, for: 1s}", "between: between and who are both given"),
        ("{do: cut, between: worker-1, at: 1s, for: 1s}", "between: expected a list, found \"worker-1\""),
        ("{do: loss, who: leader, at: 1s, for: 1s}", "share: loss needs it; write share: 10%"),
        ("{do: loss, share: 120%, who: leader, at: 1s, for: 1s}", "share: expected a share such as 10%, found \"120%\""),
        ("{do: hang, part: heart, who: leader, at: 1s, for: 1s}", "part: expected one of loop, control, disk, found \"heart\""),
        ("{do: clock, rate: 10, who: leader, at: 1s, for: 1s}", "rate: expected a number from 0.5 to 2.0, found 10"),
    ]

    @Test("in a fault", arguments: faults)
    func aFaultIsWrong(_ fault: String, _ said: String) throws {
        let text = "title: A title\nfaults: [\(fault)]\npromises: {failed_new: 0}\n"
        try self.expect(text, "made.yaml:2: faults[0].\(said)")
    }

    /// Faults that cannot be on the stage of the file.
    static let impossible: [(String, String)] = [
        ("{do: kill, who: leader, at: 1s}", "kill has to end some time; write for: 2s"),
        ("{do: restart, who: leader, at: 1s, for: 2s}", "restart is over by itself; remove for"),
        ("{do: kill, who: controller-7, at: 1s, for: 1s}", "there is no controller-7 on this stage; did you mean controller-1?"),
        ("{do: kill, who: db-main, at: 1s, for: 1s}", "there is no db-main on this stage; there are: controller-1, controller-2"),
        (
            "{do: cut, who: leader, at: 1s, for: 1s}",
            "cut is possible between namespaces only; write stage: {network: namespaces}"
        ),
        (
            "{do: hang, part: loop, who: leader, at: 1s, for: 1s}",
            "hang needs programs that can break themselves; write stage: {faults_build: true}"
        ),
        ("{do: fill_disk, who: leader, at: 1s, for: 1s}", "fill_disk needs disks that can be full; write stage: {disk: 8MiB}"),
        (
            "{do: replace_voter, who: follower, at: 1s}",
            "replace_voter needs a server to take the place; write stage: {spares: 1}"
        ),
        ("{do: drop_fleet, at: 1s, for: 1s}", "drop_fleet needs a fleet; write stage: {fleet: 300}"),
        ("{do: kill, who: leader, at: 59s, for: 2s}", "it cannot end within the run, 1m, and so never comes"),
        ("{do: kill, who: leader, random: 61s..70s, for: 2s}", "it cannot end within the run, 1m, and so never comes"),
        ("{do: drain, who: worker-1, at: 1s, for: 2s}", "drain is not for worker-1; write who: a name, or one of any server"),
        ("{do: move, who: each peer, at: 1s}", "move is not for each peer; write who: a name, or one of any client"),
        ("{do: upgrade, who: any apiserver, at: 1s}", "upgrade is not for any apiserver"),
    ]

    @Test("in what a fault needs", arguments: impossible)
    func aFaultIsImpossible(_ fault: String, _ said: String) throws {
        let text = "title: A title\nfaults: [{do: kill, who: leader, at: 1s, for: 1s}, \(fault)]\npromises: {failed_new: 0}\n"
        try self.expect(text, "made.yaml:2: faults[1]: \(said)")
    }

    /// Whole files.
    static let files: [(String, String)] = [
        ("promises: {failed_new: 0}", "made.yaml:1: title: a scenario needs a title; write title: what it rehearses"),
        ("title: A", "made.yaml:1: promises: nothing is promised beyond what holds always; write promises: {failed_new: 0}"),
        ("title: A\npromises:", "made.yaml:2: promises: nothing is promised beyond what holds always"),
        ("title: A\npromises: {}", "made.yaml:2: promises: nothing is promised beyond what holds always"),
        ("title: A\npromises: [ports]", "made.yaml:2: promises: expected a mapping (key: value), found a list"),
        (
            "title: A\npromises: {failed_new: few}",
            "made.yaml:2: promises.failed_new: expected a number, a share such as 1%, or 2 per fault, found \"few\""
        ),
        ("title: A\npromises: {failed_new: 0, portz: kept}", "made.yaml:2: promises.portz: unknown key; did you mean ports?"),
        ("title: A\npromises: {ports: lost}", "made.yaml:2: promises.ports: expected kept, found \"lost\"; write ports: kept"),
        (
            "title: A\npromises: {slowest_new: 300ms}",
            "made.yaml:2: promises.slowest_new: it says nothing of requests that fail; write failed_new: 0 beside it"
        ),
        (
            "title: A\npromises: {restarted_within: 5s}",
            "made.yaml:2: promises.restarted_within: only what is supervised is started again"
        ),
        (
            "title: A\ntraffic: {lists: 0}\npromises: {failed_list: 0}",
            "made.yaml:3: promises.failed_list: this traffic has no list requests; change traffic, or remove the promise"
        ),
        (
            "title: A\ntraffic: {new: 0, get: 0}\npromises: {longest_silence: 1s}",
            "made.yaml:3: promises.longest_silence: this traffic has no short requests"
        ),
        (
            "title: A\ntraffic: {watches: 0}\npromises: {latest_event: 1s}",
            "made.yaml:3: promises.latest_event: this traffic has no"
        ),
        ("title: A\nstage: {servers: 1}\npromises: {leaderless: 1s}", "made.yaml:3: promises.leaderless: a server that is alone"),
        (
            "title: A\nsettle: 3s\npromises: {agreement: 5s}",
            "made.yaml:2: settle: it is shorter than agreement, 5s; write settle: 5s"
        ),
        (
            "title: A\nstage: {servers: 0}\npromises: {failed_new: 0}",
            "made.yaml:2: stage.servers: expected a whole number from 1 to 9"
        ),
        (
            "title: A\nstage: {network: lan}\npromises: {failed_new: 0}",
            "made.yaml:2: stage.network: expected one of loopback, namespaces"
        ),
        (
            "title: A\nstage: {round_trip: 40ms}\npromises: {failed_new: 0}",
            "made.yaml:2: stage.round_trip: only links between namespaces can be slow; write network: namespaces"
        ),
        (
            "title: A\nstage: {network: namespaces, supervised: true}\npromises: {failed_new: 0}",
            "made.yaml:2: stage.supervised: services run on the loopback only"
        ),
        (
            "title: A\nstage: {network: namespaces, fleet: 3}\npromises: {failed_new: 0}",
            "made.yaml:2: stage.fleet: a fleet is possible on the loopback only"
        ),
        (
            "title: A\nstage: {spares: 1}\nfaults: [{do: replace_voter, who: follower, every: 20s}]\npromises: {failed_new: 0}",
            "made.yaml:2: stage.spares: 4 voters are replaced, by 1 spare servers; write spares: 4, or replace fewer"
        ),
        (
            "title: A\nstage: {network: namespaces}\nfaults: [{do: ring, at: 1s, for: 1s}]\npromises: {failed_new: 0}",
            "made.yaml:3: faults[0]: in a ring of 3 servers every one is a neighbour; write stage: {servers: 5}"
        ),
        (
            "title: A\nstage: {faults_build: true}\nfaults: [{do: hang, part: loop, who: leader, at: 1s, for: 1s}]\n"
                + "promises: {failed_new: 0}", "made.yaml:3: faults[0]: hang needs somebody who ends what hangs"
        ),
        (
            "title: A\ntraffic: {watchs: 3}\npromises: {failed_new: 0}",
            "made.yaml:2: traffic.watchs: unknown key; did you mean watches?"
        ),
        ("title: A\ndurations: 3s\npromises: {failed_new: 0}", "made.yaml:2: durations: unknown key; did you mean duration?"),
        ("title: A\nfaults: {do: kill}\npromises: {failed_new: 0}", "made.yaml:2: faults: expected a list, found a mapping"),
        ("title: A\nfaults: [kill]\npromises: {failed_new: 0}", "made.yaml:2: faults[0]: expected a mapping, found \"kill\""),
        (
            "title: A\nwithout: [clean]\npromises: {failed_new: 0}",
            "made.yaml:2: without[0]: expected one of no_harm, one_leader_per_term, all_alive, clean_logs"
        ),
        ("title: A\ntitle: B\npromises: {failed_new: 0}", "made.yaml:2: title: this key is already on line 1"),
    ]

    @Test("in a whole file", arguments: files)
    func aFileIsWrong(_ text: String, _ said: String) throws { try self.expect(text, said) }

    private func expect(_ text: String, _ said: String) throws {
        let error = try #require(throws: SettingsError.self) {
            try ScenarioReader.read(text: text, name: "made", file: "made.yaml")
        }
        #expect(error.lines.count == 1 && error.lines[0].hasPrefix(said), "\(error)")
    }
}
