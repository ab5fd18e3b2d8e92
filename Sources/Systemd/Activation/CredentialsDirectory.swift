#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where systemd puts the secrets of `LoadCredential=` and its kin: files that only this service can read, in memory
/// (systemd.exec(5), "Credentials").
package struct CredentialsDirectory: Equatable, Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    /// `$CREDENTIALS_DIRECTORY`; `nil` when the unit loads no credentials. The variable stays: the path is no secret.
    package static var current: CredentialsDirectory? {
        guard let value = getenv("CREDENTIALS_DIRECTORY") else { return nil }
        let path = String(cString: value)
        return path.hasPrefix("/") ? CredentialsDirectory(path: path) : nil
    }

    /// The file of a credential.
    ///
    /// - Returns: `nil` when the name cannot be one (it has a `/`, say), or when the unit has not loaded it.
    package func file(_ name: String) -> String? {
        let isName = name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
        guard isName, (1...255).contains(name.utf8.count), name != ".", name != ".." else { return nil }
        let file = "\(self.path)/\(name)"
        return access(file, R_OK) == 0 ? file : nil
    }
}
