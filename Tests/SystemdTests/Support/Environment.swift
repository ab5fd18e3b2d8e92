import Glibc

/// The variables that systemd gives to a service, set for the time of a test.
enum Environment {
    static let names = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]

    static func with<Result>(_ variables: [String: String], _ body: () throws -> Result) rethrows -> Result {
        let all = Array(Set(Self.names + variables.keys)).sorted()
        let saved = all.map { ($0, Self.value($0)) }
        for name in all { Self.set(name, variables[name]) }
        defer { for (name, value) in saved { Self.set(name, value) } }
        return try body()
    }

    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private static func set(_ name: String, _ value: String?) {
        if let value { setenv(name, value, 1) } else { unsetenv(name) }
    }
}
