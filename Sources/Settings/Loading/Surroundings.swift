#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Which of the two processes a configuration is read for.
package enum Role: String, Sendable, CaseIterable {
    case server
    case client
}

/// Everything outside the file that a configuration depends on: an argument, so that the same file gives the same settings.
package struct Surroundings: Sendable {
    /// The process's environment.
    package var environment: [String: String]
    /// The machine's name, as `gethostname` gives it.
    package var hostName: String
    /// The effective user id.
    package var userID: UInt32
    /// Where files are read from.
    package var files: any FileAccess

    /// Surroundings as given; `current` has the process's own.
    package init(environment: [String: String], hostName: String, userID: UInt32, files: any FileAccess) {
        self.environment = environment
        self.hostName = hostName
        self.userID = userID
        self.files = files
    }

    /// This process's, with the environment given (an executable has read it already).
    package static func current(environment: [String: String]) -> Surroundings {
        var name = [CChar](repeating: 0, count: 256)
        let hostName =
            gethostname(&name, name.count - 1) == 0
            ? String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : ""
        return Surroundings(environment: environment, hostName: hostName, userID: geteuid(), files: SystemFiles())
    }

    /// A variable that is set and not empty.
    func variable(_ name: String) -> String? {
        guard let value = environment[name], !value.isEmpty else { return nil }
        return value
    }

    /// `$STATE_DIRECTORY` (systemd may name several: the first), else `./state/server` or `./state/client`.
    package func stateDirectory(for role: Role) -> String {
        variable("STATE_DIRECTORY")?.split(separator: ":").first.map(String.init) ?? "./state/\(role.rawValue)"
    }

    /// `$RUNTIME_DIRECTORY`, `/run/gotunnel` as root, `$XDG_RUNTIME_DIR/gotunnel`, `/tmp/gotunnel-UID`: the first that applies.
    package var runtimeDirectory: String {
        if let directory = variable("RUNTIME_DIRECTORY")?.split(separator: ":").first { return String(directory) }
        if userID == 0 { return "/run/gotunnel" }
        if let directory = variable("XDG_RUNTIME_DIR") { return "\(directory)/gotunnel" }
        return "/tmp/gotunnel-\(userID)"
    }

    /// Where the admin API of a role listens, and where `gotunnelctl` looks for it, unless the configuration says otherwise.
    package func adminSocket(for role: Role) -> String { "\(runtimeDirectory)/\(role.rawValue).sock" }
}
