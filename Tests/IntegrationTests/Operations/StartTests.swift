import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#endif

extension Integration {
    /// What keeps a daemon from starting: an exit code that a supervisor understands, and one clear line.
    @Suite struct StartTests {
        @Test(arguments: [(0o644, "server"), (0o640, "server"), (0o604, "client")])
        func aTokenFileThatOthersMayReadIsRefused(mode: Int, role: String) async throws {
            try await Self.withConfiguration(role) { folder, path, line in
                try folder.write("token", sampleToken, mode: mode)
                let says = "\(folder["token"]) is readable by others than its owner; run chmod 600 \(folder["token"])"
                try await Self.expectRefusal(role, path, "\(path):\(line): \(role).token_file: \(says)")
            }
        }

        @Test func aTokenFileThatCannotBeReadIsNamedWithItsLine() async throws {
            try await Self.withConfiguration("server") { folder, path, line in
                let place = "\(path):\(line): server.token_file:"
                let token = folder["token"]
                try await Self.expectRefusal(
                    "server", path, "\(place) cannot read \(token): there is no such file; create it or mend the path")
                try folder.makeFolder("token")
                try await Self.expectRefusal(
                    "server", path, "\(place) cannot read \(token): it is a directory; name the file inside it")
                try FileManager.default.removeItem(atPath: token)
                #expect(mkfifo(token, 0o600) == 0)
                try await Self.expectRefusal(
                    "server", path, "\(place) cannot read \(token): it is not a regular file; name a regular file")
                try FileManager.default.removeItem(atPath: token)
                try folder.write("token", "")
                try await Self.expectRefusal("server", path, "\(place) \(token) is empty; run gotunnelctl token new")
            }
        }

        @Test(arguments: ["server", "client"])
        func aSecondProcessOnTheSameStateExits75(role: String) async throws {
            try await TunnelPair.with { pair in
                let path = role == "server" ? pair.serverConfig : pair.clientConfig
                let state = pair.folder[role == "server" ? "ss" : "cs"]
                let result = try await run(try Programs.ours("gotunnel-\(role)"), ["--config", path])
                #expect(result.end == .exit(75), "\(result)")
                #expect(
                    result.errorLines.last
                        == "\(role).state_dir: another process uses \(state); stop it, or give each its own state_dir")
                #expect(try await pair.serverAdmin.isReady(), "expected the first one to be unharmed")
                #expect(try await pair.clientAdmin.isReady(), "expected the first one to be unharmed")
            }
        }

        @Test func occupiedPortsAreNamed() async throws {
            let other = try await TestListener.start()
            let busy = "127.0.0.1:\(other.port)"
            try await Self.withConfiguration("server", address: busy) { folder, path, _ in
                try folder.write("token", sampleToken)
                try await Self.expectEnd(
                    69, "server", path,
                    "server.addr: cannot listen on \(busy): Address already in use; free the port or choose another")
            }
            try await Self.withConfiguration("server", admin: ", addr: \"\(busy)\"") { folder, path, _ in
                try folder.write("token", sampleToken)
                // Another process there may go away, and so 75: try again.
                try await Self.expectEnd(
                    75, "server", path,
                    "admin: cannot listen at \(busy): Address already in use; another process has it: stop that, or choose another address"
                )
            }
            try await Self.withConfiguration("client", more: "forwards: [{listen: \"\(busy)\", service: a}]") { folder, path, _ in
                try folder.write("token", sampleToken)
                try await Self.expectEnd(
                    69, "client", path,
                    "client.forwards: cannot listen on \(busy): Address already in use; free the port or choose another")
            }
            await other.stop()
        }

        @Test func anAdminSocketThatCannotBeMadeExits69() async throws {
            try await Self.withConfiguration("server", socket: "/proc/none/s.sock") { folder, path, _ in
                try folder.write("token", sampleToken)
                try await Self.expectEnd(69, "server", path, nil) {
                    $0.hasPrefix("admin.socket: cannot make the directory /proc/none")
                }
            }
        }

        @Test func aReadOnlyStateDirectoryIsOneClearLine() async throws {
            try await Self.withMount("size=64k,ro") { folder, state in
                try await Self.withConfiguration("server", state: state) { inner, path, _ in
                    try inner.write("token", sampleToken)
                    try await Self.expectEnd(69, "server", path, nil) {
                        $0.contains(state) && $0.contains("Read-only file system")
                    }
                }
            }
        }

        @Test(arguments: ["server", "client"])
        func aFullDiskIsOneClearLine(role: String) async throws {
            try await Self.withMount("size=8k") { folder, state in
                // Fill it to the last byte.
                let filler = try #require(fopen("\(state)/filler", "w"))
                setvbuf(filler, nil, Int32(_IONBF), 0)
                while fwrite(Array(repeating: UInt8(0), count: 512), 1, 512, filler) == 512 {}
                fclose(filler)
                try await Self.withConfiguration(role, state: state) { inner, path, _ in
                    try inner.write("token", sampleToken)
                    try await Self.expectEnd(69, role, path, nil) { $0.contains(state) && $0.contains("No space left on device") }
                }
            }
        }

        // MARK: What the tests share

        /// A small configuration whose token file, `token` in the folder, the body makes. `body` gets the path of the
        /// configuration and the line of its token_file.
        private static func withConfiguration(
            _ role: String, address: String? = nil, state: String? = nil, socket: String? = nil, admin: String = "",
            more: String = "",
            _ body: (TemporaryFolder, String, Int) async throws -> Void
        ) async throws {
            try await TemporaryFolder.with { folder in
                let place = try address ?? "127.0.0.1:\(FreePorts.one())"
                let addressLine = role == "server" ? "addr: \"\(place)\"" : "server_addrs: [\"\(place)\"]"
                let lines = [
                    "name: one", addressLine, "token_file: \"\(folder["token"])\"", "state_dir: \"\(state ?? folder["state"])\"",
                    "admin: {socket: \"\(socket ?? folder["a.sock"])\"\(admin)}", more,
                ]
                let text = "\(role):\n" + lines.filter { !$0.isEmpty }.map { "  \($0)\n" }.joined()
                try await body(folder, try folder.write("config.yaml", text), 4)
            }
        }

        private static func expectRefusal(_ role: String, _ path: String, _ line: String) async throws {
            for arguments in [["--config", path, "--check"], ["--config", path]] {
                let result = try await run(try Programs.ours("gotunnel-\(role)"), arguments)
                #expect(result.end == .exit(78), "\(result)")
                #expect(result.errorLines == [line])
            }
        }

        /// The last line on standard error is `line`, or passes `judge`.
        private static func expectEnd(
            _ code: Int32, _ role: String, _ path: String, _ line: String?, _ judge: (String) -> Bool = { _ in true }
        ) async throws {
            let result = try await run(try Programs.ours("gotunnel-\(role)"), ["--config", path])
            #expect(result.end == .exit(code), "\(result)")
            let last = result.errorLines.last ?? ""
            if let line { #expect(last == line) }
            #expect(judge(last), "unexpected last line: \(last)")
        }

        /// Mounts a small file system in memory for the time of `body`.
        private static func withMount(_ options: String, _ body: (TemporaryFolder, String) async throws -> Void) async throws {
            guard getuid() == 0 else { return print("not root: the tests of full and read-only disks are left out") }
            try await TemporaryFolder.with { folder in
                try folder.makeFolder("disk")
                let mounted = try await run(
                    try Programs.installed("mount"), ["-t", "tmpfs", "-o", "\(options),mode=700", "tmpfs", folder["disk"]])
                guard mounted.end == .exit(0) else {
                    return print(
                        "mounting is not permitted here: the tests of full and read-only disks are left out: \(mounted.errors)")
                }
                var failure: (any Error)?
                do { try await body(folder, folder["disk"]) } catch { failure = error }
                try await runWell(try Programs.installed("umount"), [folder["disk"]])
                if let failure { throw failure }
            }
        }
    }
}
