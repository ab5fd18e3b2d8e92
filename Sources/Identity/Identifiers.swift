/// 128 random bits that name something for good.
package protocol RandomIdentifier: Sendable, Hashable, CustomStringConvertible {
    /// 16 bytes.
    var bytes: [UInt8] { get }
    /// Takes exactly 16 bytes; anything else is a mistake of the caller.
    init(unchecked bytes: [UInt8])
}

extension RandomIdentifier {
    /// In bytes.
    package static var length: Int { 16 }

    /// An identifier as it came off the wire; `nil` unless 16 bytes.
    package init?(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes.prefix(Self.length + 1))
        guard bytes.count == Self.length else { return nil }
        self.init(unchecked: bytes)
    }

    /// An identifier as text; `nil` unless 32 hex digits.
    package init?(hex text: some StringProtocol) {
        guard text.utf8.count == Self.length * 2, let bytes = Hex.bytes(text) else { return nil }
        self.init(unchecked: bytes)
    }

    package static func generate(using generator: inout some RandomNumberGenerator) -> Self {
        Self(unchecked: generator.bytes(length))
    }

    /// 32 lower-case hex digits.
    package var description: String { Hex.text(bytes) }
}

/// Names one life of a process: an installation's new instance evicts its old one. Kept only over a freeze and thaw.
package struct InstanceID: RandomIdentifier {
    package let bytes: [UInt8]
    package init(unchecked bytes: [UInt8]) { self.bytes = bytes }
}

/// Owns a client's name and ports across restarts. It lives in the state directory.
package struct InstallationID: RandomIdentifier {
    package let bytes: [UInt8]
    package init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// In the state directory: 32 hex digits and a newline, mode 0600.
    package static let fileName = "installation-id"

    /// Reads the id of this installation, or makes it on the first start.
    ///
    /// A damaged file is an error: a new id would be a new owner, shut out of the names and ports of the old one.
    package static func loadOrCreate(
        directory: String, using generator: inout some RandomNumberGenerator
    ) throws(IdentityProblem) -> InstallationID {
        let path = "\(directory)/\(fileName)"
        if let text = try StateFile.read(path)?.text {
            guard let id = InstallationID(hex: text.hasSuffix("\n") ? text.dropLast() : text[...]) else {
                throw IdentityProblem(
                    .damaged, at: path, "is not an installation id (32 hex digits)",
                    mend: "restore it, or remove it to start as a new installation without the old one's names and ports")
            }
            return id
        }
        let id = InstallationID.generate(using: &generator)
        try StateFile.makeDirectory(directory)
        try StateFile.write(Array("\(id)\n".utf8), to: path, mode: 0o600)
        return id
    }
}
