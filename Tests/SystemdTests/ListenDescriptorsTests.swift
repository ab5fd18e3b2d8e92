import Foundation
import Glibc
import Testing

@testable import Systemd

extension SystemdTests {
    @Suite struct ListenDescriptorsTests {
        @Test func kindsAreWhatLibsystemdFinds() throws {
            let listener = try Descriptors.tcpListener()
            let unbound = try Descriptors.socket(AF_INET6, SOCK_STREAM)
            let pair = try Descriptors.pair()
            let datagram = try Descriptors.socket(AF_INET, SOCK_DGRAM)
            let packets = try Descriptors.socket(AF_UNIX, SOCK_SEQPACKET)
            let file = try Descriptors.file()
            let pipe = try Descriptors.pipe()
            let all = [listener, unbound, pair.0, pair.1, datagram, packets, file, pipe.read, pipe.write]
            defer { for one in all { close(one) } }
            let expected: [ListenDescriptor.Kind] = [
                .tcpListener, .tcpConnection, .unixConnection, .unixConnection, .datagram, .otherSocket, .file, .other, .other,
            ]
            #expect(all.map(ListenDescriptor.Kind.of) == expected)
            #expect(ListenDescriptor.Kind.of(9999) == .other)
            #expect(ListenDescriptor.Kind.of(-1) == .other)
        }

        @Test func theyAreSortedByUse() {
            let link = ListenDescriptor(descriptor: 3, name: "link", kind: .tcpListener)
            let second = ListenDescriptor(descriptor: 4, name: "link", kind: .tcpListener)
            let admin = ListenDescriptor(descriptor: 5, name: "admin", kind: .tcpListener)
            let stray = ListenDescriptor(descriptor: 6, name: "lnik", kind: .tcpListener)
            let sorted = ListenDescriptors([link, second, admin, stray]).sorted(expecting: [
                "link": [.tcpListener], "admin": [.unixListener], "egress": [.unixListener],
            ])
            #expect(sorted.found == ["link": [link, second]])
            #expect(sorted.unsuitable == [admin])
            #expect(sorted.unknown == [stray])
            let expected = [
                "systemd handed over 'lnik' (descriptor 6, a TCP listener), a name that is not known here: "
                    + "see FileDescriptorName= of the socket unit",
                "systemd handed over 'admin' (descriptor 5, a TCP listener), which is not what that name is for: see the socket unit",
            ]
            #expect(sorted.complaints == expected)
        }

        @Test func thoseOfAnotherProcessAreLeftAlone() throws {
            try Environment.with(["LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "link"]) { () throws in
                #expect(try ListenDescriptors.receive() == ListenDescriptors())
                #expect(Environment.names.filter { Environment.value($0) != nil } == [])
            }
        }

        @Test func withoutSystemdThereAreNone() throws {
            try Environment.with([:]) { () throws in #expect(try ListenDescriptors.receive() == ListenDescriptors()) }
        }

        @Test(arguments: ["x", "-1", "2147483647"])
        func nonsenseIsAnError(count: String) {
            Environment.with(["LISTEN_PID": "\(getpid())", "LISTEN_FDS": count]) {
                #expect(throws: SystemdError.failed(call: "sd_listen_fds_with_names", code: EINVAL)) {
                    try ListenDescriptors.receive()
                }
                #expect(Environment.names.filter { Environment.value($0) != nil } == [])
            }
        }

        /// Another process of this program, executed as systemd does it: descriptors from 3 on, and the process's own id.
        @Test func anActivatedProcessFindsItsSockets() throws {
            let listener = try Descriptors.tcpListener()
            let file = try Descriptors.file()
            defer { for one in [listener, file] { close(one) } }
            let report = NSTemporaryDirectory() + "/gotunnel-activated-\(getpid())"
            defer { unlink(report) }
            let status = try ActivatedProcess.run([listener, file], names: "link:s", report: report)
            #expect(status == 0)
            let lines = try String(contentsOfFile: report, encoding: .utf8).split(separator: "\n").map(String.init)
            let expected = [
                "'link' (descriptor 3, a TCP listener) close-on-exec \(try FileID(listener).inode)",
                "'s' (descriptor 4, a file) close-on-exec \(try FileID(file).inode)", "left in the environment: []",
            ]
            #expect(lines == expected)
        }

        /// Run by the test above in a process of its own.
        @Test(.enabled(if: ActivatedProcess.reportPath != nil))
        func reportWhatThisProcessWasGiven() throws {
            let report = try #require(ActivatedProcess.reportPath)
            var lines = try ListenDescriptors.receive().all.map { one in
                let flag = Descriptors.isCloseOnExec(one.descriptor) ? "close-on-exec" : "inherited"
                return "\(one) \(flag) \(try FileID(one.descriptor).inode)"
            }
            lines.append("left in the environment: \(Environment.names.filter { Environment.value($0) != nil })")
            try lines.joined(separator: "\n").write(toFile: report, atomically: true, encoding: .utf8)
        }
    }
}

/// This test program, run again with the descriptors of another systemd.
enum ActivatedProcess {
    private static let variable = "GOTUNNEL_TEST_ACTIVATED"

    /// Where the process is to write what it found; `nil` in an ordinary run of the tests.
    static var reportPath: String? { Environment.value(Self.variable) }

    /// - Returns: the exit code.
    static func run(_ descriptors: [CInt], names: String, report: String) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Two reports of tests on one terminal would only confuse.
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        // By way of high numbers, so that no descriptor is overwritten before it is copied; adddup2 clears close-on-exec.
        for (index, descriptor) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, 900 + CInt(index))
        }
        for index in descriptors.indices { posix_spawn_file_actions_adddup2(&actions, 900 + CInt(index), 3 + CInt(index)) }
        for index in descriptors.indices { posix_spawn_file_actions_addclose(&actions, 900 + CInt(index)) }
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        // Only the shell knows the process's id before the program runs.
        let script = "LISTEN_PID=$$ exec \"$0\" \"$@\""
        let arguments = ["/bin/sh", "-c", script, program] + Self.ownArguments + ["--filter", "reportWhatThisProcessWasGiven"]
        let variables = ProcessInfo.processInfo.environment.merging([
            Self.variable: report, "LISTEN_FDS": "\(descriptors.count)", "LISTEN_FDNAMES": names,
        ]) { $1 }
        var process: pid_t = 0
        let result = Self.withStrings(arguments) { arguments in
            Self.withStrings(variables.map { "\($0)=\($1)" }) { posix_spawn(&process, "/bin/sh", &actions, nil, arguments, $0) }
        }
        guard result == 0 else { throw Failure("posix_spawn") }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 { guard errno == EINTR else { throw Failure("waitpid") } }
        return status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F)
    }

    /// What makes this program run the same tests again; its filter is replaced.
    private static var ownArguments: [String] {
        var arguments: [String] = []
        var rest = CommandLine.arguments.dropFirst()
        while let one = rest.popFirst() {
            let hasValue = ["--filter", "--skip", "--xunit-output", "--event-stream-output-path", "--event-stream-version"]
            if hasValue.contains(one) { _ = rest.popFirst() } else { arguments.append(one) }
        }
        return arguments
    }

    private static func withStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
