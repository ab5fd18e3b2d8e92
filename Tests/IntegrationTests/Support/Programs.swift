import Foundation

/// The programs under test, as they are built; and the programs of this machine that tests use.
enum Programs {
    static var server: String { get throws { try ours("gotunnel-server") } }
    static var client: String { get throws { try ours("gotunnel-client") } }
    static var ctl: String { get throws { try ours("gotunnelctl") } }

    /// From the directory `$GOTUNNEL_PROGRAMS`; else `./bin`; else from where the test program itself was built.
    static func ours(_ name: String) throws -> String {
        let places: [String]
        if let chosen = ProcessInfo.processInfo.environment["GOTUNNEL_PROGRAMS"] {
            places = [chosen]
        } else {
            let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
            places = ["bin", URL(filePath: own).deletingLastPathComponent().path]
        }
        return try find(name, in: places, mend: "run make build, or set GOTUNNEL_PROGRAMS to the directory that holds it")
    }

    /// A program of this machine. Daemons live in sbin, which an ordinary user's PATH may not name.
    static func installed(_ name: String) throws -> String {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let places = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        return try find(name, in: places, mend: "run scripts/setup test")
    }

    private static func find(_ name: String, in places: [String], mend: String) throws -> String {
        for place in places {
            let path = URL(filePath: "\(place)/\(name)").standardizedFileURL.path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw Unmet("expected the program \(name) in \(places.joined(separator: ", ")); \(mend)")
    }
}
