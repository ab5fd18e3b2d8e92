import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// ssh, and git over it, to a worker's sshd through an exposure.
    @Suite struct ShellTests {
        @Test func aSessionAndAClone() async throws {
            try await TemporaryFolder.with { folder in
                let shell = try await SecureShell.start(in: folder)
                try await shell.program.use { _ in
                    try await TunnelPair.with(TunnelSetup(exposures: ["ssh": shell.port])) { pair in
                        let port = try pair.exposure("ssh")
                        try await Self.session(shell, port)
                        try await Self.clone(shell, port, folder)
                    }
                }
            }
        }

        private static func session(_ shell: SecureShell, _ port: Int) async throws {
            let ssh = try Programs.installed("ssh")
            let host = "127.0.0.1"
            let said = try await runWell(ssh, shell.options(port) + [host, "echo through the tunnel; echo aside >&2"])
            #expect(said == "through the tunnel\n")
            let failed = try await run(ssh, shell.options(port) + [host, "exit 7"])
            #expect(failed.end == .exit(7), "expected the exit code of the far end: \(failed)")
            // Both directions in bulk: what goes in comes back with its checksum.
            let input = try shell.folder.write("input", String(repeating: "0123456789abcde\n", count: 256 << 10))
            let wanted = try await runWell(try Programs.installed("sha256sum"), [input]).prefix(64)
            let echoed = try await run(
                ssh, shell.options(port) + [host, "tee /dev/stderr | sha256sum"], input: input, within: .seconds(60))
            #expect(echoed.end == .exit(0) && echoed.output.prefix(64) == wanted)
            #expect(echoed.errors.utf8.count == 4 << 20, "expected all of it to come back")
            let table = try await runWell(ssh, shell.options(port) + ["-tt", host, "stty size; tty"])
            #expect(table.contains("/dev/pts/"), "expected a terminal: \(table)")
        }

        private static func clone(_ shell: SecureShell, _ port: Int, _ folder: TemporaryFolder) async throws {
            let git = try Programs.installed("git")
            let (source, copy) = (folder["source"], folder["copy"])
            let quiet = ["GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"]
            try await runWell(git, ["init", "--quiet", "--initial-branch=main", source], environment: quiet)
            for number in 0..<30 {
                var bytes = TestBytes(seed: UInt64(number + 1))
                try Data(bytes.next(200_000)).write(to: URL(filePath: "\(source)/file-\(number)"))
            }
            try await runWell(git, ["-C", source, "add", "."], environment: quiet)
            let author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
            try await runWell(git, ["-C", source] + author + ["commit", "--quiet", "-m", "Thirty files"], environment: quiet)
            let command = ([try Programs.installed("ssh")] + shell.options(port)).joined(separator: " ")
            let over = quiet.merging(["GIT_SSH_COMMAND": command]) { $1 }
            try await runWell(
                git, ["clone", "--quiet", "ssh://127.0.0.1\(source)", copy], environment: over, within: .seconds(60))
            let checked = try await run(git, ["-C", copy, "fsck", "--full", "--strict"], environment: quiet)
            #expect(checked.end == .exit(0), "\(checked)")
            let heads = try await [source, copy].asyncMap {
                try await runWell(git, ["-C", $0, "rev-parse", "HEAD"], environment: quiet)
            }
            #expect(heads[0] == heads[1])
            // And back: a push.
            try Data("pushed\n".utf8).write(to: URL(filePath: "\(copy)/new"))
            try await runWell(git, ["-C", copy, "add", "."], environment: quiet)
            try await runWell(git, ["-C", copy] + author + ["commit", "--quiet", "-m", "One more"], environment: quiet)
            try await runWell(git, ["-C", copy, "push", "--quiet", "origin", "HEAD:refs/heads/pushed"], environment: over)
            let pushed = try await runWell(git, ["-C", source, "show", "pushed:new"], environment: quiet)
            #expect(pushed == "pushed\n")
        }
    }
}

extension Sequence {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}

/// An sshd on a high port with keys of its own, for the user that runs the tests.
struct SecureShell {
    let program: RunningProgram
    let port: Int
    let folder: TemporaryFolder

    /// What `ssh` needs to be let in, and to know the host.
    func options(_ port: Int) -> [String] {
        let settings = [
            "IdentityFile=\(self.folder["user_key"])", "IdentitiesOnly=yes", "UserKnownHostsFile=\(self.folder["known_hosts"])",
            "GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "HostKeyAlias=worker", "BatchMode=yes",
            "LogLevel=ERROR",
            "ConnectTimeout=10",
        ]
        return ["-F", "/dev/null", "-p", "\(port)"] + settings.flatMap { ["-o", $0] }
    }

    static func start(in folder: TemporaryFolder) async throws -> SecureShell {
        let sshd = try Programs.installed("sshd")
        let keygen = try Programs.installed("ssh-keygen")
        for name in ["host_key", "user_key"] {
            try await runWell(keygen, ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", folder[name]])
        }
        try folder.write("authorized_keys", folder.read("user_key.pub"))
        try folder.write("known_hosts", "worker \(folder.read("host_key.pub"))")
        // sshd separates its privileges only as root, and insists on this directory then.
        if getuid() == 0, mkdir("/run/sshd", 0o755) != 0, errno != EEXIST { throw Unmet("expected to make /run/sshd") }
        let port = try FreePorts.one()
        try folder.write(
            "sshd_config",
            """
            ListenAddress 127.0.0.1:\(port)
            HostKey \(folder["host_key"])
            PidFile none
            AuthorizedKeysFile \(folder["authorized_keys"])
            StrictModes no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PubkeyAuthentication yes
            PermitRootLogin prohibit-password
            UsePAM no
            PrintMotd no

            """)
        let program = try RunningProgram.start(sshd, ["-D", "-e", "-f", folder["sshd_config"]], name: "sshd", in: folder)
        do {
            try await eventually("sshd to listen on \(port)") {
                if let end = program.ended { throw Unmet("sshd has ended: \(end)\n\(program.tail)") }
                return isListening(port) ? true : nil
            }
        } catch {
            await program.stop()
            throw error
        }
        return SecureShell(program: program, port: port, folder: folder)
    }
}
