import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// A small file system in memory as the state directory of the last server of a group, in a mount namespace that a sleeping
/// process keeps: it can be filled up, made read-only and lived in again, and is gone when the test is over.
struct SmallDisk: Sendable {
    private let keeper: RunningProgram
    private let path: String
    private let group: ServerGroup

    /// Runs `body` with a cluster of which nothing is started yet; leaves it out where mounting is not permitted.
    static func with(of servers: Int, _ body: (ServerGroup, SmallDisk) async throws -> Void) async throws {
        let setup = GroupSetup(servers: servers, hasExposure: true, hasPicked: true, isCluster: true, links: min(2, servers))
        try await ServerGroup.with(setup, waits: false) { group in
            let path = group.folder["ss\(servers)"]
            try group.folder.makeFolder("ss\(servers)")
            let script =
                "mount -t tmpfs -o size=128k,mode=700 tmpfs \(path) && touch \(group.folder["mounted"]) && exec sleep 600"
            let command = [try Programs.installed("unshare"), "--mount", try Programs.installed("sh"), "-c", script]
            let keeper = try RunningProgram.start(command[0], Array(command.dropFirst()), name: "keeper", in: group.folder)
            try await keeper.use { keeper in
                try await eventually("a file system in memory") { group.folder.has("mounted") || !keeper.isRunning }
                guard keeper.isRunning else {
                    return print("mounting is not permitted here: a full disk is left out: \(keeper.log)")
                }
                try await body(group, SmallDisk(keeper: keeper, path: path, group: group))
            }
        }
    }

    /// What runs a program where the disk is mounted.
    var inside: [String] { get throws { [try Programs.installed("nsenter"), "--target", "\(self.keeper.pid)", "--mount"] } }

    func start(_ server: GroupServer) async throws {
        try server.begin(in: self.group.folder, by: try self.inside)
        try await server.whenReady()
    }

    private func place(_ name: String) -> String { "/proc/\(self.keeper.pid)/root\(self.path)/\(name)" }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: self.place(name)))) }

    /// Fills it to the last byte.
    func fill() throws {
        let descriptor = open(self.place("filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Unmet("expected to write to the disk: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let block = [UInt8](repeating: 0, count: 512)
        while write(descriptor, block, block.count) == block.count {}
        guard errno == ENOSPC else { throw Unmet("expected a full disk, got \(String(cString: strerror(errno)))") }
    }

    func makeRoom() throws { try FileManager.default.removeItem(atPath: self.place("filler")) }

    func makeReadOnly(_ isReadOnly: Bool) async throws {
        let mount = [try Programs.installed("mount"), "-o", "remount,\(isReadOnly ? "ro" : "rw")", self.path]
        let command = try self.inside + mount
        try await runWell(command[0], Array(command.dropFirst()))
    }
}
