import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

/// Whether namespaces, mounts and control groups can be made here.
let isRoot = geteuid() == 0

/// Tests that make things of the kernel take turns: they would see each other's.
@Suite("Faults of the machine", .serialized)
struct MachineFaults {}

/// A folder for a test, gone with it.
func withFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = NSTemporaryDirectory() + "gotunnel-faults-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

/// A program on the stage, ended with the test.
func withProgram<Result>(
    _ command: [String], environment: [String: String] = [:], limits: ProcessLimits = ProcessLimits(),
    leftovers: Leftovers? = nil, in host: StageHost = .loopback, _ body: (StagedProcess, String) async throws -> Result
) async throws -> Result {
    try await withFolder { folder in
        let log = "\(folder)/log"
        let process = try StagedProcess.start(
            command, name: "program", log: log, in: host, environment: environment, limits: limits, leftovers: leftovers)
        do {
            let result = try await body(process, log)
            await process.stop()
            return result
        } catch {
            await process.stop()
            throw error
        }
    }
}

/// Waits until it is so; a limit so wide that only what never comes about reaches it.
func eventually(_ what: String, within limit: Duration = .seconds(30), _ isSo: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    while !(try await isSo()) {
        guard ContinuousClock.now < end else { throw StageError("waited in vain for \(what)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}

func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
