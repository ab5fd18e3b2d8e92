import Logging
import Settings
import Synchronization
import Systemd

#if canImport(Glibc)
import Glibc
#endif

/// What a listening socket is for. The text goes with the socket from process to process.
package struct SocketRole: RawRepresentable, Hashable, Sendable {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    /// The port of clients and servers; `FileDescriptorName=link`.
    package static let link = SocketRole(rawValue: "link")
    /// The admin API's Unix socket; `FileDescriptorName=admin`.
    package static let admin = SocketRole(rawValue: "admin")
    /// The admin API's TCP address.
    package static let adminTCP = SocketRole(rawValue: "admin-tcp")
    /// Mapped ports.
    package static func port(_ number: UInt16) -> SocketRole { SocketRole(rawValue: "port-\(number)") }
    /// A client's forward, by where it listens.
    package static func forward(_ address: String) -> SocketRole { SocketRole(rawValue: "forward-\(address)") }
}

/// Listening sockets that this process was given open: by systemd's socket units, or by the process before it. Each is taken
/// once.
package final class InheritedSockets: Sendable {
    /// One socket and where it comes from.
    package struct Entry: Sendable {
        package var descriptor: CInt
        /// A socket unit owns it: that decides about its address, and its file stays when this process ends.
        package var isActivated: Bool

        package init(descriptor: CInt, isActivated: Bool) {
            self.descriptor = descriptor
            self.isActivated = isActivated
        }
    }

    private let entries: Mutex<[SocketRole: Entry]>
    private let complaints: [String]

    /// The roles that socket units may name.
    private static let activated: [String: Set<ListenDescriptor.Kind>] = [
        SocketRole.link.rawValue: [.tcpListener], SocketRole.admin.rawValue: [.unixListener],
    ]

    /// - Parameter descriptors: those of systemd, without what a handoff has taken.
    package init(_ descriptors: ListenDescriptors) {
        let sorted = descriptors.sorted(expecting: Self.activated)
        var entries: [SocketRole: Entry] = [:]
        var complaints = sorted.complaints
        for (name, found) in sorted.found.sorted(by: { $0.key < $1.key }) {
            entries[SocketRole(rawValue: name)] = found.first.map { Entry(descriptor: $0.descriptor, isActivated: true) }
            for extra in found.dropFirst() {
                complaints.append("systemd handed over \(extra), a second one: one address is served under that name")
                close(extra.descriptor)
            }
        }
        for useless in sorted.unknown + sorted.unsuitable { close(useless.descriptor) }
        self.entries = Mutex(entries)
        self.complaints = complaints
    }

    package convenience init() { self.init(ListenDescriptors()) }

    /// What the process before this one listened on. A socket unit's own comes from systemd as well, and counts.
    package func add(_ role: SocketRole, _ entry: Entry) {
        let isNew = self.entries.withLock { entries in
            guard entries[role] == nil else { return false }
            entries[role] = entry
            return true
        }
        if !isNew { close(entry.descriptor) }
    }

    /// The socket for `role`, which is the caller's own from now on.
    package func take(_ role: SocketRole) -> Entry? { self.entries.withLock { $0.removeValue(forKey: role) } }

    /// Closes what nobody has taken: the configuration no longer asks for it.
    package func closeRest() {
        let rest = self.entries.withLock { entries in
            defer { entries = [:] }
            return entries.values.map(\.descriptor)
        }
        for descriptor in rest { close(descriptor) }
    }

    package func complain(_ logger: Logger) {
        for line in self.complaints { logger.warning("socket activation", metadata: ["problem": "\(line)"]) }
    }
}
