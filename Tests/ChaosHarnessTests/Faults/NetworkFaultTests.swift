import Foundation
import Testing

@testable import ChaosHarness

extension MachineFaults {
    /// Real packets between real namespaces. Datagrams are numbered and answered, so that each lost one is known.
    @Suite("Faults of a network", .enabled(if: isRoot, "needs root"))
    struct NetworkFaultTests {
        /// Answers every datagram on port 7.
        private static let echo = [
            "perl", "-MIO::Socket::INET", "-e",
            """
            $| = 1; my $s = IO::Socket::INET->new(Proto => 'udp', LocalPort => 7) or die $!; print "ready\\n";
            while (1) { my $from = $s->recv(my $text, 2000); $s->send($text, 0, $from) if defined $from }
            """,
        ]

        /// Sends so many datagrams, half a millisecond apart; prints how many answers came back within a fifth of a second
        /// after the last, and the shortest time that one took, in milliseconds.
        private static let probe = """
            use IO::Socket::INET; use IO::Select; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);
            my ($to, $count) = @ARGV; my $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => "$to:7") or die $!;
            my $in = IO::Select->new($s); my ($got, $best) = (0, 9999); my %sent;
            sub take { my $wait = shift; while ($in->can_read($wait)) { $wait = 0 if $wait < 0.1; my $text;
              defined $s->recv($text, 2000) or next; my $took = 1000 * (clock_gettime(CLOCK_MONOTONIC) - $sent{$text});
              $got++; $best = $took if $took < $best; last if $got >= $count } }
            for my $n (1..$count) { $sent{$n} = clock_gettime(CLOCK_MONOTONIC); $s->send($n); take(0.0005) }
            take(0.2) if $got < $count; printf "%d %.3f\\n", $got, $best;
            """

        private struct Answers {
            var count: Int
            var fastest: Double
        }

        private func ask(_ lab: NamespaceLab, from one: Int, to other: Int, _ count: Int = 20) throws -> Answers {
            let command = ["perl", "-e", Self.probe, lab.hosts[other].address, "\(count)"]
            let words = try Shell.run(lab.hosts[one].command(command)).split(whereSeparator: \.isWhitespace)
            return Answers(count: try #require(Int(words[0])), fastest: try #require(Double(words[1])))
        }

        /// With a host that answers on each of three.
        private func withLab(_ roundTrip: Duration = .zero, _ body: (NamespaceLab) async throws -> Void) async throws {
            let lab = try NamespaceLab(hosts: 3, roundTrip: roundTrip)
            defer { lab.remove() }
            try await withFolder { folder in
                var echoes: [StagedProcess] = []
                for (index, host) in lab.hosts.enumerated() {
                    echoes.append(try StagedProcess.start(Self.echo, name: "echo", log: "\(folder)/\(index)", in: host))
                }
                try await eventually("the answering ones") {
                    lab.hosts.indices.allSatisfy { text("\(folder)/\($0)") == "ready\n" }
                }
                // The first packets wait for addresses to be resolved.
                for one in lab.hosts.indices {
                    for other in lab.hosts.indices where one != other { _ = try self.ask(lab, from: one, to: other) }
                }
                let result: Result<Void, any Error>
                do { result = .success(try await body(lab)) } catch { result = .failure(error) }
                for echo in echoes { await echo.stop() }
                try result.get()
            }
            lab.remove()
            for host in lab.hosts { #expect(!FileManager.default.fileExists(atPath: "/run/netns/\(host.namespace ?? "")")) }
        }

        @Test("cuts come and go by themselves: each drops its own packets, and ending one leaves the others")
        func cuts() async throws {
            try await withLab { lab in
                #expect(try self.ask(lab, from: 0, to: 1).count == 20)
                let one = try lab.begin(.cut(0, 1))
                let same = try lab.begin(.cut(1, 0))
                let other = try lab.begin(.cutOneWay(2, 0))
                #expect(lab.faults == [.cut(0, 1), .cut(1, 0), .cutOneWay(2, 0)])
                #expect(try self.ask(lab, from: 0, to: 1).count == 0)
                #expect(try self.ask(lab, from: 0, to: 2).count == 0, "its answers are dropped")
                #expect(try self.ask(lab, from: 1, to: 2).count == 20)
                try lab.end(one)
                #expect(try self.ask(lab, from: 0, to: 1).count == 0, "it is cut twice")
                try lab.end(same)
                try lab.end(same)
                #expect(try self.ask(lab, from: 0, to: 1).count == 20)
                #expect(try self.ask(lab, from: 0, to: 2).count == 0)
                try lab.end(other)
                #expect(try self.ask(lab, from: 0, to: 2).count == 20)
                let alone = try lab.begin(.isolate(0))
                #expect(try self.ask(lab, from: 0, to: 1).count == 0 && self.ask(lab, from: 2, to: 0).count == 0)
                #expect(try self.ask(lab, from: 1, to: 2).count == 20)
                try lab.end(alone)
                try lab.cut(.onlyBack, between: 0, and: 1)
                #expect(lab.faults == [.cutOneWay(1, 0)])
                try lab.heal()
                #expect(try self.ask(lab, from: 0, to: 1).count == 20 && lab.faults.isEmpty)
                #expect(throws: StageError.self) { try lab.begin(.cut(0, 3)) }
            }
        }

        @Test("a share of the packets is lost, those that reach the host only, the shares of two together")
        func loss() async throws {
            try await withLab { lab in
                let half = try lab.begin(.loss(1, 0.5))
                // By chance: outside of this once in 10^15 times.
                let count = try self.ask(lab, from: 0, to: 1, 400).count
                #expect((120...280).contains(count), "\(count)")
                #expect(try self.ask(lab, from: 0, to: 2).count == 20)
                let all = try lab.begin(.loss(1, 1))
                #expect(try self.ask(lab, from: 0, to: 1).count == 0)
                let before = try self.received(lab, 0)
                #expect(try self.ask(lab, from: 1, to: 0).count == 0)
                #expect(try self.received(lab, 0) - before >= 20 * 43, "what it sends itself arrives; only the answers are lost")
                try lab.end(all)
                #expect(try self.ask(lab, from: 0, to: 1, 100).count > 0)
                try lab.end(half)
                #expect(try self.ask(lab, from: 0, to: 1, 100).count == 100)
            }
        }

        @Test("what a host sends is late by the delays at work and by that of the lab, and in time again afterwards")
        func delays() async throws {
            try await withLab { lab in
                let one = try lab.begin(.delay(0, .milliseconds(30)))
                #expect(try self.ask(lab, from: 0, to: 1).fastest >= 30)
                #expect(try self.ask(lab, from: 1, to: 0).fastest >= 30, "its answers are late")
                let other = try lab.begin(.delay(0, .milliseconds(20)))
                #expect(try self.ask(lab, from: 0, to: 1).fastest >= 50)
                let cut = try lab.begin(.cutOneWay(0, 1))
                #expect(try self.ask(lab, from: 0, to: 1).count == 0, "a delayed cable can be cut as well")
                try lab.end(cut)
                try lab.end(one)
                #expect(try self.ask(lab, from: 0, to: 1).fastest >= 20)
                try lab.end(other)
                // The best of many: a busy machine may delay some, not all.
                try await eventually("packets in time") { try self.ask(lab, from: 0, to: 1).fastest < 20 }
                #expect(try self.ask(lab, from: 0, to: 1).count == 20)
            }
            try await withLab(.milliseconds(40)) { lab in
                #expect(try self.ask(lab, from: 0, to: 1).fastest >= 40)
                let more = try lab.begin(.delay(1, .milliseconds(10)))
                #expect(try self.ask(lab, from: 2, to: 1).fastest >= 50)
                try lab.end(more)
                try await eventually("packets as late as before") { try self.ask(lab, from: 2, to: 1).fastest < 50 }
            }
        }

        @Test("what a host sends is held to the lowest rate at work, until none is")
        func rates() async throws {
            try await withLab { lab in
                let fast = try lab.begin(.rate(0, 100_000))
                let slow = try lab.begin(.rate(0, 1_000))
                let name = try #require(lab.hosts[0].namespace)
                func limit() throws -> String { try Shell.run(["tc", "-n", name, "qdisc", "show", "dev", "eth0", "root"]) }
                #expect(try limit().contains("rate 8Kbit"))
                try lab.end(slow)
                #expect(try limit().contains("rate 800Kbit"))
                let script = """
                    use IO::Socket::INET; my $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => "$ARGV[0]:9") or die $!;
                    $s->send('x' x 1000) for 1..300;
                    """
                let (before, start) = (try self.received(lab, 2), TrafficClock.now())
                _ = try Shell.run(lab.hosts[0].command(["perl", "-e", script, lab.hosts[2].address]))
                let received = try self.received(lab, 2) - before
                // No more than the bucket and what the rate lets pass in that time, however long it was.
                let most = 131_072 + 100_000 * (TrafficClock.now() - start) / 1_000
                #expect(received > 50_000 && Double(received) < most * 1.1, "\(received) of \(most)")
                try lab.end(fast)
                #expect(!(try limit().contains("tbf")))
                let middle = try self.received(lab, 2)
                _ = try Shell.run(lab.hosts[0].command(["perl", "-e", script, lab.hosts[2].address]))
                try await eventually("all of it") { try self.received(lab, 2) - middle >= 300_000 }
            }
        }

        private func received(_ lab: NamespaceLab, _ host: Int) throws -> Int {
            let command = lab.hosts[host].command(["cat", "/sys/class/net/eth0/statistics/rx_bytes"])
            return Int(try Shell.run(command).trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        }

        @Test("a connection that exists is cut in silence, and goes on when the cut ends")
        func connection() async throws {
            try await withLab { lab in
                let server = """
                    use IO::Socket::INET; $| = 1; my $l = IO::Socket::INET->new(LocalPort => 8, Listen => 5, ReuseAddr => 1) or die $!;
                    print "ready\\n"; my $c = $l->accept; while (sysread $c, my $x, 1) { print $x } print "closed\\n";
                    """
                let client = """
                    use IO::Socket::INET; $| = 1; my $s = IO::Socket::INET->new("$ARGV[0]:8") or die $!;
                    $SIG{USR1} = sub { $n++; syswrite $s, $n; print $n }; print "ready\\n"; sleep 60 while 1
                    """
                try await withProgram(["perl", "-e", server], in: lab.hosts[1]) { _, heard in
                    try await eventually("a listener") { text(heard) == "ready\n" }
                    try await withProgram(["perl", "-e", client, lab.hosts[1].address], in: lab.hosts[0]) { process, said in
                        try await eventually("a connection") { text(said) == "ready\n" }
                        process.signal(SIGUSR1)
                        try await eventually("the first byte") { text(heard) == "ready\n1" }
                        let cut = try lab.begin(.cut(0, 1))
                        process.signal(SIGUSR1)
                        try await eventually("the second byte to be sent") { text(said) == "ready\n12" }
                        try await Task.sleep(for: .milliseconds(500))
                        #expect(text(heard) == "ready\n1" && process.isRunning)
                        try lab.end(cut)
                        try await eventually("the second byte") { text(heard) == "ready\n12" }
                    }
                    try await eventually("the end of it") { text(heard) == "ready\n12closed\n" }
                }
            }
        }
    }
}
