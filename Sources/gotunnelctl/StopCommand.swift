import Admin
import ArgumentParser
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// `gotunnelctl stop`.
struct Stop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End the process, after a drain.",
        discussion: """
            Returns when the process has ended. Run by a service's ExecStop=, it sees whether
            the service is being restarted; then systemd keeps the connections for the next
            process (FileDescriptorStoreMax=), and nothing is drained.
            """)

    @OptionGroup var connection: Connection

    @Option(help: ArgumentHelp("The service; by default the one that this command runs in.", valueName: "unit"))
    var unit: String?

    func run() async throws {
        let client = self.connection.client
        let process = try await client.status().process
        let store = (self.unit ?? ServiceUnit.own).flatMap { ServiceUnit(name: $0).storeForRestart }
        report(try await client.stop(store: store))
        while kill(process.pid, 0) == 0 || errno == EPERM { try await Task.sleep(for: .milliseconds(20)) }
    }
}

/// A service of systemd, as systemctl shows it.
struct ServiceUnit {
    let name: String

    /// Connections that systemd compares with each other when it takes them: above this it is busy for too long.
    private static let mostConnections = 2_000
    /// Places in the store that listeners and the file need.
    private static let otherDescriptors = 64

    /// The service that this process belongs to.
    static var own: String? {
        guard let text = try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8) else { return nil }
        return text.split(whereSeparator: { "/\n".contains($0) }).map(String.init).last { $0.hasSuffix(".service") }
    }

    /// How many connections systemd would keep, when the service is being restarted; nil when it is not, or keeps none.
    var storeForRestart: Int? {
        let jobs = Self.systemctl(["list-jobs", "--no-legend", "--plain", "--no-pager"]) ?? ""
        let isRestart = jobs.split(separator: "\n").contains { line in
            let words = line.split(separator: " ")
            return words.contains(Substring(self.name)) && words.contains("restart")
        }
        guard isRestart else { return nil }
        let answer = Self.systemctl(["show", "--property=FileDescriptorStoreMax", "--value", self.name]) ?? ""
        let places = (Int(answer.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0) - Self.otherDescriptors
        return places > 0 ? min(places, Self.mostConnections) : nil
    }

    private static func systemctl(_ arguments: [String]) -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["systemctl"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
    }
}
