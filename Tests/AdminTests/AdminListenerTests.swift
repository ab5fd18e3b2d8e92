import Logging
import Testing

@testable import Admin

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct AdminListenerTests {
    @Test func aLiveSocketIsLeftAloneAndAStaleOneReplaced() throws {
        try inDirectory { directory in
            let path = directory + "/a/b/server.sock"
            let first = try AdminListener.unix(path: path)
            #expect(UnixSocket.probe(path) == .live)
            let refused = #expect(throws: AdminListenerError.self) { _ = try AdminListener.unix(path: path) }
            #expect(refused?.exitCode == 75)
            #expect(refused?.description.hasPrefix("another process is serving \(path);") == true)
            #expect(UnixSocket.probe(path) == .live)
            // As after SIGKILL: the descriptor is gone, the file is not.
            close(first.descriptor)
            #expect(UnixSocket.probe(path) == .stale)
            let second = try AdminListener.unix(path: path)
            #expect(UnixSocket.probe(path) == .live)
            // The first one's file is not there any more; removing it must not remove the second's.
            first.removeFile()
            #expect(UnixSocket.probe(path) == .live)
            second.discard()
            #expect(UnixSocket.probe(path) == .absent)
        }
    }

    @Test func modesAreTight() throws {
        try inDirectory { directory in
            let listener = try AdminListener.unix(path: directory + "/run/deep/server.sock")
            defer { listener.discard() }
            var status = stat()
            #expect(lstat(directory + "/run/deep/server.sock", &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o660)
            #expect(lstat(directory + "/run/deep", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o750 & ~currentUmask())
        }
    }

    private func currentUmask() -> mode_t {
        let mask = umask(0o022)
        umask(mask)
        return mask
    }

    @Test func whatIsNotASocketStays() throws {
        try inDirectory { directory in
            let path = directory + "/file"
            let file = open(path, O_CREAT | O_WRONLY, 0o600)
            close(file)
            let error = #expect(throws: AdminListenerError.self) { _ = try AdminListener.unix(path: path) }
            #expect(error?.exitCode == 78)
            #expect(UnixSocket.probe(path) == .notASocket)
        }
    }

    @Test func pathsThatAreTooLongSaySo() {
        let error = #expect(throws: AdminListenerError.self) {
            _ = try AdminListener.unix(path: "/tmp/" + String(repeating: "x", count: 120))
        }
        #expect(error?.exitCode == 78)
        #expect(error?.description.contains("107 bytes") == true)
    }

    @Test func tcpAddressesInUseAndNonsense() throws {
        let first = try AdminListener.tcp("127.0.0.1:0")
        defer { first.discard() }
        #expect(first.place.hasPrefix("127.0.0.1:") && first.place != "127.0.0.1:0")
        #expect(first.allowsActions == false)
        let error = #expect(throws: AdminListenerError.self) { _ = try AdminListener.tcp(first.place) }
        #expect(error?.exitCode == 75)
        for nonsense in ["17080", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1"] {
            let error = #expect(throws: AdminListenerError.self) { _ = try AdminListener.tcp(nonsense) }
            #expect(error?.exitCode == 78)
        }
    }

    @Test func aNewServerServesAnInheritedSocketAndLeavesItsFile() async throws {
        try await withDirectory { directory in
            let path = directory + "/server.sock"
            let inherited = try AdminListener.inherited(AdminListener.unix(path: path).descriptor)
            #expect(inherited.allowsActions)
            let server = AdminServer(
                source: FakeSource(), registry: MetricsRegistry(), listeners: [inherited],
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let running = Task { try await server.run() }
            #expect(try await AdminClient(socket: path).clients() == [Samples.clientRow])
            running.cancel()
            try await running.value
            #expect(UnixSocket.probe(path) == .stale)
        }
    }

    @Test func aClientSaysThatNothingIsRunning() async throws {
        try await withDirectory { directory in
            let path = directory + "/nothing.sock"
            let expected = AdminClientError(
                description:
                    "no gotunnel-server or -client answers at \(path); is it running? (systemctl status gotunnel-server)",
                exitCode: 69)
            await #expect(throws: expected) { try await AdminClient(socket: path).status() }
            let listener = try AdminListener.unix(path: path)
            close(listener.descriptor)
            await #expect(throws: expected) { try await AdminClient(socket: path).status() }
        }
    }

    @Test func aClientDoesNotWaitForeverForASilentSocket() async throws {
        try await withDirectory { directory in
            let listener = try AdminListener.unix(path: directory + "/silent.sock")
            defer { listener.discard() }
            do {
                _ = try await AdminClient(socket: directory + "/silent.sock", timeout: .milliseconds(200)).status()
                Issue.record("an answer out of nothing")
            } catch {
                #expect((error as? AdminClientError)?.exitCode == 75)
            }
        }
    }
}
