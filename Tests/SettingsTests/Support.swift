import Settings
import Testing

/// A table of files in place of a disk.
struct MemoryFiles: FileAccess {
    var files: [String: FileContents] = [:]
    var troubles: [String: FileTrouble] = [:]

    init(_ texts: [String: String] = [:], mode: UInt32 = 0o600) {
        for (path, text) in texts { files[path] = FileContents(bytes: Array(text.utf8), mode: mode) }
    }

    func read(_ path: String, limit: Int) throws(FileTrouble) -> FileContents {
        if let trouble = troubles[path] { throw trouble }
        guard let contents = files[path] else { throw .missing }
        guard contents.bytes.count <= limit else { throw .tooLarge(limit: limit) }
        return contents
    }

    func exists(_ path: String) -> Bool { files[path] != nil || troubles[path] != nil }
}

/// 64 hex digits, as `openssl rand -hex 32` prints them.
let strongToken = "8f14e45fceea167a5a36dedd4bea2543c9f0f895fb98ab9159f51fd0297e236d"
let otherToken = "1679091c5a880faf6fb5e6087eb1b2dc45c48cce2e2d7fbdea1afc51c7c6ad26"

/// What every test's file is read in, unless it says otherwise: a host named node-1, user 1000, no variables.
func surroundings(
    _ environment: [String: String] = [:], files: MemoryFiles = MemoryFiles(), host: String = "Node-1"
) -> Surroundings {
    Surroundings(environment: environment, hostName: host, userID: 1_000, files: files)
}

/// The lines of what is wrong with a text; empty when nothing is.
func problems(_ text: String, in around: Surroundings = surroundings(), readsFiles: Bool = false) -> [String] {
    do {
        _ = try SettingsLoader.check(text: text, name: "config.yaml", in: around, readsFiles: readsFiles)
        return []
    } catch {
        return error.lines
    }
}

/// The `server` section of a text that must be right.
func server(_ text: String, in around: Surroundings = surroundings()) throws -> ServerSettings {
    try #require(SettingsLoader.check(text: text, name: "config.yaml", in: around).server)
}

/// The `client` section of a text that must be right.
func client(_ text: String, in around: Surroundings = surroundings()) throws -> ClientSettings {
    try #require(SettingsLoader.check(text: text, name: "config.yaml", in: around).client)
}

/// A generator that gives the same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
