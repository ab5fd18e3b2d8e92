import CSystemd

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A descriptor that systemd handed to this process: an activated socket, or one from the store.
package struct ListenDescriptor: Equatable, Sendable, CustomStringConvertible {
    package let descriptor: CInt
    /// `FileDescriptorName=` of the socket unit, or the name it was stored under. Made printable.
    package let name: String
    package let kind: Kind

    /// What libsystemd finds behind a descriptor.
    package enum Kind: String, Sendable {
        case tcpListener = "a TCP listener"
        case tcpConnection = "a TCP connection"
        case unixListener = "a Unix stream listener"
        case unixConnection = "a Unix stream connection"
        case datagram = "a datagram socket"
        case otherSocket = "a socket of another kind"
        /// A regular file, a memfd for one, or a character device.
        case file = "a file"
        /// Anything else, or not open at all.
        case other = "something else"
    }

    package var description: String { "'\(self.name)' (descriptor \(self.descriptor), \(self.kind.rawValue))" }
}

/// The descriptors that systemd handed to this process (sd_listen_fds(3)). All are close-on-exec and the process's own to close.
package struct ListenDescriptors: Equatable, Sendable {
    /// In the order of the unit, stored ones last.
    package let all: [ListenDescriptor]

    package init(_ all: [ListenDescriptor] = []) { self.all = all }

    /// Takes the descriptors over, and `$LISTEN_PID`, `$LISTEN_FDS` and `$LISTEN_FDNAMES` out of the environment. To be called
    /// once, before other threads run.
    ///
    /// - Returns: none when there is no systemd, or when they are meant for another process.
    package static func receive() throws(SystemdError) -> ListenDescriptors {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard try checked("sd_listen_fds_with_names", count), let names else { return ListenDescriptors() }
        defer { free(names) }
        var all: [ListenDescriptor] = []
        for index in 0..<Int(count) {
            guard let name = names[index] else { break }
            defer { free(name) }
            let descriptor = SD_LISTEN_FDS_START + CInt(index)
            all.append(
                ListenDescriptor(
                    descriptor: descriptor, name: OneLine.clean(String(cString: name), limit: 255), kind: .of(descriptor)))
        }
        return ListenDescriptors(all)
    }

    /// Sorts the descriptors by what the program has a use for.
    ///
    /// - Parameter expected: which kinds are wanted under which name.
    package func sorted(expecting expected: [String: Set<ListenDescriptor.Kind>]) -> SortedDescriptors {
        var sorted = SortedDescriptors()
        for one in self.all {
            switch expected[one.name] {
            case nil: sorted.unknown.append(one)
            case let kinds? where kinds.contains(one.kind): sorted.found[one.name, default: []].append(one)
            case _?: sorted.unsuitable.append(one)
            }
        }
        return sorted
    }
}

/// Descriptors of systemd, by what the program has a use for. Those without use are the program's to report and to close.
package struct SortedDescriptors: Equatable, Sendable {
    /// By name; a socket unit with several addresses gives several of one name.
    package internal(set) var found: [String: [ListenDescriptor]] = [:]
    /// Under a name that is not expected.
    package internal(set) var unknown: [ListenDescriptor] = []
    /// Under an expected name, but of a kind that is of no use there.
    package internal(set) var unsuitable: [ListenDescriptor] = []

    /// One clear line for each descriptor without use.
    package var complaints: [String] {
        let unknown = "a name that is not known here: see FileDescriptorName= of the socket unit"
        let unsuitable = "which is not what that name is for: see the socket unit"
        return self.unknown.map { "systemd handed over \($0), \(unknown)" }
            + self.unsuitable.map { "systemd handed over \($0), \(unsuitable)" }
    }
}

extension ListenDescriptor.Kind {
    /// Asks libsystemd what a descriptor is. One that is not open is ``other``.
    package static func of(_ descriptor: CInt) -> Self {
        // Each question is answered by 1, 0, or an error such as EBADF.
        func isSocket(_ family: CInt, _ type: CInt, listening: CInt) -> Bool {
            sd_is_socket(descriptor, family, type, listening) > 0
        }
        let stream = CInt(SOCK_STREAM.rawValue)
        if sd_is_socket_inet(descriptor, AF_UNSPEC, stream, 1, 0) > 0 { return .tcpListener }
        if sd_is_socket_inet(descriptor, AF_UNSPEC, stream, 0, 0) > 0 { return .tcpConnection }
        if isSocket(AF_UNIX, stream, listening: 1) { return .unixListener }
        if isSocket(AF_UNIX, stream, listening: 0) { return .unixConnection }
        if isSocket(AF_UNSPEC, CInt(SOCK_DGRAM.rawValue), listening: -1) { return .datagram }
        if isSocket(AF_UNSPEC, 0, listening: -1) { return .otherSocket }
        return sd_is_special(descriptor, nil) > 0 ? .file : .other
    }
}
