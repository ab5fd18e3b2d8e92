import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// One server of a `ServerGroup`, with a backend that says its number.
final class GroupServer: Sendable {
    /// From 1 up.
    let number: Int
    /// Where it listens for links.
    let listens: String
    /// Where the client reaches it: its proxy if it has one.
    let address: String
    /// Where its mapped ports listen.
    let bind: String
    let proxy: BreakableProxy?
    let admin: AdminAccess
    let backend: NamedBackend
    private let started = Mutex<[RunningProgram]>([])

    /// - Parameter port: the port that all servers share; nil: one of its own.
    init(_ number: Int, port: Int?, _ setup: GroupSetup, in folder: TemporaryFolder) async throws {
        let own = try port ?? FreePorts.one()
        self.number = number
        self.listens = "127.0.0.\(port == nil ? 1 : number):\(own)"
        self.proxy = setup.hasProxies ? try await BreakableProxy.start(to: own) : nil
        self.address = self.proxy.map { "127.0.0.1:\($0.port)" } ?? self.listens
        self.bind = "127.0.0.\(number)"
        self.admin = AdminAccess(socket: folder["s\(number).sock"])
        self.backend = try await NamedBackend.start(number)
        // Each has files of its own, so that a test can give one another token or another secret.
        try folder.write(self.tokenFile, folder.read("token"))
        try folder.write(self.secretFile, Self.secret)
    }

    var name: String { "server-\(self.number)" }
    var tokenFile: String { "token-\(self.number)" }
    var secretFile: String { "secret-\(self.number)" }
    /// The state directory.
    var state: String { "ss\(self.number)" }

    /// What the servers of a cluster prove to each other.
    static let secret = String(repeating: "0f1e2d3c", count: 8)

    /// The port that it listens on for links.
    var linkPort: Int { self.listens.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

    // MARK: Life

    var everStarted: [RunningProgram] { self.started.withLock { $0 } }
    /// The process that was started last.
    var last: RunningProgram? { self.everStarted.last }

    var program: RunningProgram {
        get throws {
            guard let program = self.last else { throw Unmet("expected \(self.name) to have been started") }
            return program
        }
    }

    /// `command`: a program and its arguments that run the server's, such as `unshare`.
    func begin(in folder: TemporaryFolder, by command: [String] = []) throws {
        let whole = command + [try Programs.server, "--config", folder["server-\(self.number).yaml"]]
        let program = try RunningProgram.start(whole[0], Array(whole.dropFirst()), name: self.name, in: folder)
        self.started.withLock { $0.append(program) }
    }

    func whenReady() async throws {
        let program = try self.program
        try await eventually("\(self.name) to be ready", within: .seconds(20)) {
            if let end = program.ended { throw Unmet("\(self.name) has ended: \(end)\n\(program.tail)") }
            return try await self.admin.isReady() ? true : nil
        }
    }

    func signal(_ number: Int32) throws { try self.program.signal(number) }

    func kill() async throws {
        try self.signal(SIGKILL)
        _ = try await self.program.exit()
    }

    /// Ends what is not a process of its own.
    func end() async {
        await self.proxy?.stop()
        await self.backend.stop()
    }
}
