import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

@Suite("A process without files left")
struct FileLimitTests {
    /// Opens as many files as it can whenever it is told to, says how many it could and why no more, and closes them.
    static let opener = [
        "perl", "-e",
        """
        $| = 1; use POSIX; $SIG{USR1} = sub { my @f; my $n = 0; while ($n < 100) { open(my $f, '<', '/dev/null') or last; \
        push @f, $f; $n++ } print "$n ", ($n < 100 ? $!+0 : 0), "\\n"; }; print "ready\\n"; sleep 60 while 1
        """,
    ]

    private func ask(_ process: StagedProcess, _ log: String) async throws -> [Int] {
        let lines = text(log).split(separator: "\n").count
        process.signal(SIGUSR1)
        try await eventually("an answer") { text(log).hasSuffix("\n") && text(log).split(separator: "\n").count > lines }
        return text(log).split(separator: "\n").last?.split(separator: " ").compactMap { Int($0) } ?? []
    }

    @Test("it can open so many more and no more, the lowest of several holds, and all is as before when they end")
    func exhausted() async throws {
        try await withProgram(Self.opener) { process, log in
            try await eventually("the program") { text(log) == "ready\n" }
            #expect(try await self.ask(process, log) == [100, 0])
            let three = try FileLimit(of: process.pid, more: 3)
            #expect(try await self.ask(process, log) == [3, Int(EMFILE)])
            let none = try FileLimit(of: process.pid, more: 0)
            #expect(try await self.ask(process, log) == [0, Int(EMFILE)])
            three.end()
            #expect(try await self.ask(process, log) == [0, Int(EMFILE)], "the other is still at work")
            none.end()
            none.end()
            #expect(try await self.ask(process, log) == [100, 0])
            let last = try FileLimit(of: process.pid, more: 1)
            await process.stop()
            last.end()
            #expect(throws: StageError.self) { try FileLimit(of: process.pid, more: 1) }
        }
    }

    @Test("the limit leaves exactly so many free numbers below it")
    func numbers() {
        #expect(FileLimit.limit(open: [0, 1, 2], more: 0) == 3)
        #expect(FileLimit.limit(open: [0, 1, 2, 9], more: 0) == 3)
        #expect(FileLimit.limit(open: [0, 1, 2, 4], more: 1) == 5)
        #expect(FileLimit.limit(open: [0, 1, 2, 4], more: 2) == 6)
        #expect(FileLimit.limit(open: [], more: 0) == 0)
        #expect(FileLimit.limit(open: [1], more: 1) == 2)
        #expect(
            FileLimit.limits("Max open files            1024                 unlimited            files\n")?.hard == "unlimited")
        #expect(FileLimit.limits("Max processes 1 2\n") == nil)
    }
}
