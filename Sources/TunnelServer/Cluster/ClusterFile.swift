import ClusterCore
import Identity
import NIOCore
import TunnelWire

/// The file in a server's state directory that holds its part in the cluster: what it has promised and what it keeps for the
/// others. Without it the server is no voter any more, so nothing here ever overwrites what it cannot read.
///
/// Layout, integers big-endian: the line `gotunnel cluster state 1`, the installation's id (16 bytes), the voter's id (16
/// bytes), the server's name behind a u8 length, the record's length u32, the record, SHA-256 of all that.
///
/// The voter's id is made with the file: whoever loses the file has lost its vote, even with all else in place.
struct ClusterFile: Sendable {
    private static let magic = "gotunnel cluster state "
    private static let version = "1"
    /// The largest file read, in bytes: more mapped ports than there are ports.
    private static let maximumSize = 64 << 20

    let path: String
    private let name: ServerName
    private let installation: WireID

    /// - Parameters:
    ///   - directory: the server's state directory.
    ///   - name: of this server; a file of another one is refused.
    ///   - installation: the id of the state directory.
    init(directory: String, name: ServerName, installation: WireID) {
        self.path = "\(directory)/cluster.state"
        self.name = name
        self.installation = installation
    }

    /// What the life before has left; nil when there is none.
    func load() throws(IdentityProblem) -> (id: WireID, state: StoredState)? {
        guard let file = try StateFile.read(self.path, as: .secret(), maximumSize: Self.maximumSize) else { return nil }
        var buffer = ByteBuffer(bytes: file.bytes)
        let firstLine = String(decoding: file.bytes.prefix { $0 != UInt8(ascii: "\n") }.prefix(64), as: UTF8.self)
        guard firstLine.hasPrefix(Self.magic), firstLine != Self.magic else {
            throw self.damaged("does not begin as such a file does")
        }
        guard firstLine == Self.magic + Self.version else {
            throw IdentityProblem(
                .damaged, at: self.path, "was written by another version (format \(firstLine.dropFirst(Self.magic.count)))",
                mend: "start the version that wrote it, or one that is newer")
        }
        guard file.bytes.count >= 32, let body = buffer.readSlice(length: file.bytes.count - 32),
            let checksum = buffer.readBytes(length: 32),
            Digest.sha256(body.readableBytesView) == checksum
        else { throw self.damaged("is cut short or was changed (its checksum is wrong)") }
        return try self.decode(body, after: firstLine.utf8.count + 1)
    }

    private func decode(_ body: ByteBuffer, after start: Int) throws(IdentityProblem) -> (id: WireID, state: StoredState) {
        var body = body
        body.moveReaderIndex(forwardBy: start)
        let found: (installation: WireID, id: WireID, name: String, state: StoredState)
        do throws(WireError) {
            let installation = try WireID(reading: &body)
            let id = try WireID(reading: &body)
            let name = try body.readWireName("server name")
            let length = Int(try body.readWire(UInt32.self, "record length"))
            guard let record = body.readSlice(length: length) else { throw WireError(.malformed, "the record is cut short") }
            found = (installation, id, name, try StoredState(decoding: record))
        } catch {
            throw self.damaged("holds what cannot be (\(error.detail))")
        }
        guard found.installation == self.installation else {
            throw IdentityProblem(
                .damaged, at: self.path, "belongs to the state directory of another server (\(found.name))",
                mend: "put the right one there; two servers must never share one")
        }
        guard found.name == self.name else {
            throw IdentityProblem(
                .damaged, at: self.path,
                "belongs to this server under the name \(found.name), and server.name is \(self.name)",
                mend: "name it \(found.name) again; for another name, begin with an empty state_dir and let an operator"
                    + " remove \(found.name) and add \(self.name)")
        }
        return (found.id, found.state)
    }

    private func damaged(_ what: String) -> IdentityProblem {
        IdentityProblem(
            .damaged, at: self.path, what,
            mend:
                "move it away: this server comes back without its vote, and gotunnelctl cluster add \(self.name) on another server"
                + " gives it one again")
    }

    /// Replaces the file, all or nothing, and has it on disk before it returns.
    /// - Parameter id: of the voter that this server is with this state.
    func write(_ state: StoredState, id: WireID) throws(IdentityProblem) {
        var buffer = ByteBuffer(string: "\(Self.magic)\(Self.version)\n")
        self.installation.write(into: &buffer)
        id.write(into: &buffer)
        buffer.writeWireName(self.name)
        let record = state.encoded()
        buffer.writeInteger(UInt32(clamping: record.readableBytes))
        buffer.writeImmutableBuffer(record)
        buffer.writeBytes(Digest.sha256(buffer.readableBytesView))
        try StateFile.write(Array(buffer.readableBytesView), to: self.path, mode: 0o600)
    }
}
