import Foundation
import Testing

@testable import ChaosHarness

@Suite("Commands of a rehearsal with a running cluster")
struct CommandTests {
    private let caller = ProgramCaller()

    @Test("a shell takes quoted arguments apart into the very same ones", arguments: ["sh", "bash"])
    func quoting(shell: String) async throws {
        let nasty = [
            "", "plain", "two words", "it's", "'", "''", "\"", "$HOME", "`id`", "$(id)", "a;b", "a&b", "a|b", "*", "?", "[a]",
            "~",
            "#c", "!x", "\\", "\\'", "a\nb", "\t", "-n", "--", "ümlaut", "{a,b}", "<x>", "table inet t { chain c { drop; }; }",
        ]
        let outcome = await self.caller.call([shell, "-c", "printf '%s\\0' " + ShellWords.joined(nasty)], within: .seconds(10))
        let words = outcome.output.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
        #expect(words == nasty)
    }

    @Test("a remote command is one quoted text behind ssh, which asks nothing; a local one is itself")
    func places() {
        let words = ["gotunnelctl", "move", "--", "worker-1", "it's"]
        #expect(HostCommand(RunningMember(.server, "a"), words).onThisMachine(sockets: nil) == words)
        let root = RunningMember(.server, "a", needsSudo: true)
        #expect(HostCommand(root, ["x"]).onThisMachine(sockets: nil) == ["sudo", "-n", "--", "x"])
        let remote = HostCommand(RunningMember(.server, "a", ssh: "me@host", needsSudo: true), words).onThisMachine(
            sockets: "/tmp/s")
        #expect(remote.first == "ssh")
        #expect(remote.contains("BatchMode=yes"))
        #expect(remote.contains("ControlPath=/tmp/s/%C"))
        #expect(remote.suffix(3) == ["--", "me@host", "sudo -n -- gotunnelctl move -- worker-1 'it'\\''s'"])
    }

    @Test("what a program prints, and why it failed")
    func outcomes() async {
        #expect(
            await self.caller.call(["sh", "-c", "printf abc"], within: .seconds(10)) == CommandOutcome(output: Array("abc".utf8)))
        #expect(
            await self.caller.call(["sh", "-c", "echo no such unit >&2; echo more >&2; exit 5"], within: .seconds(10)).failure
                == "no such unit")
        #expect(await self.caller.call(["false"], within: .seconds(10)).failure == "ended with exit 1")
        #expect(await self.caller.call(["sh", "-c", "kill -9 $$"], within: .seconds(10)).failure == "ended with SIGKILL")
        #expect(
            await self.caller.call(["/nonexistent/x"], within: .seconds(10)).failure
                == "/nonexistent/x cannot be run: No such file or directory")
        #expect(await self.caller.call(["sh", "-c", "head -c 300000 /dev/zero"], within: .seconds(10)).output.count == 300_000)
    }

    @Test("the reason is what a program says to its user, not to its developers")
    func reasons() {
        let kubectl = "E1123 17:55:29.650031   16453 memcache.go:265] err=1\nE1123 17 x\nUnable to connect to the server: EOF\n"
        #expect(ProgramCaller.reason(Array(kubectl.utf8)) == "Unable to connect to the server: EOF")
        #expect(ProgramCaller.reason(Array("E1123 17:55 only this\n".utf8)) == "E1123 17:55 only this")
        #expect(ProgramCaller.reason(Array("Error: x\nmore".utf8)) == "Error: x")
        #expect(ProgramCaller.reason([]) == nil)
    }

    @Test("a program that does not end is killed, with what it has started")
    func limit() async {
        #expect(
            await self.caller.call(["sh", "-c", "sleep 1000 & wait"], within: .milliseconds(200)).failure == "no end within 200ms"
        )
    }

    @Test("what a program leaves behind with its output open is not waited for")
    func background() async {
        let outcome = await self.caller.call(["sh", "-c", "sleep 30 & echo $!"], within: .seconds(20))
        #expect(outcome.failure == nil)
        if let left = pid_t(String(decoding: outcome.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)) {
            kill(left, SIGKILL)
        }
    }

    @Test("a cancelled task ends its program")
    func cancelled() async {
        let task = Task { await self.caller.call(["sleep", "1000"], within: .seconds(1000)) }
        task.cancel()
        #expect(await task.value.failure == "broken off")
    }
}
