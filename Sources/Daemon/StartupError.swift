import Identity
import Settings

/// Why a daemon does not start, with the exit code that says so to systemd.
package struct StartupError: Error, CustomStringConvertible {
    /// sysexits.h's numbers.
    package enum Code: Int32, Sendable {
        case unavailable = 69
        case internalError = 70
        case temporary = 75
        case refused = 77
        case configuration = 78
    }

    package let description: String
    package let code: Code

    package init(_ description: String, _ code: Code) {
        self.description = description
        self.code = code
    }
}

extension StartupError {
    /// The code for an error of a library or module that has none of its own.
    static func exitCode(for error: any Error) -> Int32 {
        switch error {
        // A full disk or a missing right may pass, so a supervisor is to try again.
        case let problem as IdentityProblem where problem.kind == .system: Code.unavailable.rawValue
        case is SettingsError, is SecretTrouble, is IdentityProblem, is TokenError, is TokenRingError, is NamePatternError:
            Code.configuration.rawValue
        default: Code.internalError.rawValue
        }
    }
}

extension StartupError {
    /// Runs `body`; what it throws is said of the configuration's `key`.
    package static func naming<Value>(_ key: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            throw StartupError("\(key): \(error)", .configuration)
        }
    }
}

extension SecretSource {
    /// The key of the configuration, or the variable, that it was written in.
    package var key: String {
        switch self {
        case .inline: "token"
        case .file(let path): "token_file (\(PrintableText.clean(path)))"
        case .environment: "token ($\(Self.variable))"
        }
    }
}
