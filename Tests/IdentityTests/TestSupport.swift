import FoundationEssentials
import Glibc

@testable import Identity

/// A generator whose numbers a seed determines (SplitMix64), so that a failing test fails again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A directory of a test's own, removed when the test lets go of it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = "\(FileManager.default.temporaryDirectory.path)/identity-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file without any of the care of the code under test.
    func put(_ text: String, at name: String, mode: mode_t = 0o600) throws {
        try Data(text.utf8).write(to: URL(filePath: file(name)))
        guard chmod(file(name), mode) == 0 else { throw POSIXError(.EPERM) }
    }

    func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: file(name))), as: UTF8.self)
    }

    /// The names of all files, sorted.
    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }

    /// The permission bits of a file.
    func mode(_ name: String) -> mode_t? { Self.mode(at: file(name)) }

    static func mode(at path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }
}

/// 2026-03-01 12:00:00 UTC.
let testTime = Date(timeIntervalSince1970: 1_772_366_400)
let day = 86_400.0

/// The digits 00 01 … 1f: 256 bits that no generator makes.
let plainHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
let otherHex = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/// What a throwing call threw, for comparing several properties of it.
func problem(_ body: () throws -> Void) -> IdentityProblem? {
    do {
        try body()
        return nil
    } catch {
        return error as? IdentityProblem
    }
}
