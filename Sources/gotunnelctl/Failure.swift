import Admin
import Identity
import Settings

/// What ends a command: a message for standard error, and an exit code of sysexits.h.
struct Failure: Error {
    /// The whole line, or lines; an error of a configuration starts with its place and so stays without the program's name.
    let message: String
    let exitCode: Int32

    init(_ message: String, exitCode: Int32) {
        self.message = "gotunnelctl: \(message)"
        self.exitCode = exitCode
    }

    private init(places error: SettingsError) {
        message = error.description
        exitCode = 78
    }

    /// The failure that an error of the modules beneath means; `nil` for those of the argument parser, which speak for
    /// themselves.
    init?(_ error: any Error) {
        switch error {
        case let error as Failure: self = error
        case let error as AdminClientError: self.init(error.description, exitCode: error.exitCode)
        case let error as SettingsError: self.init(places: error)
        case let error as SecretTrouble: self.init(error.description, exitCode: 78)
        case let error as TokenError: self.init(error.description, exitCode: 78)
        case let error as IdentityProblem: self.init(error.description, exitCode: Self.exitCode(error.kind))
        default: return nil
        }
    }

    private static func exitCode(_ kind: IdentityProblem.Kind) -> Int32 {
        switch kind {
        case .system: 69
        case .badName: 64
        case .tooOpen, .damaged, .mismatch, .missing, .exists: 78
        }
    }
}
