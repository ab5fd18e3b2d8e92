extension ServiceManager {
    /// The most descriptors that one message on a Unix socket carries (SCM_MAX_FD of Linux).
    static let descriptorsInMessage = 253

    /// Leaves copies of descriptors with systemd, which hands them to the unit's next process (``ListenDescriptors``). Returns
    /// when systemd has them; the caller's own may then be closed.
    ///
    /// systemd says nothing about descriptors that it does not keep: those above `FileDescriptorStoreMax=`, and second ones of
    /// the same file. So the next process must count what it gets.
    ///
    /// - Parameters:
    ///   - name: what the next process finds them under, 1 to 255 printable ASCII characters without `:`. Several calls may use
    ///     one name. It travels in an environment variable once per descriptor, so many descriptors want a short one.
    ///   - poll: whether systemd drops those that hang up or fail while it keeps them. Connections are to be kept even then:
    ///     their last bytes are still to be read.
    ///   - timeout: how long systemd may take, all together.
    @discardableResult
    package func store(
        _ descriptors: [CInt], name: String, poll: Bool = false, timeout: Duration
    ) throws(SystemdError) -> Bool {
        try Self.check(name: name)
        var isTold = false
        var rest = descriptors[...]
        while !rest.isEmpty {
            isTold = try self.send(.store(name: name, poll: poll), descriptors: Array(rest.prefix(Self.descriptorsInMessage)))
            guard isTold else { return false }
            rest = rest.dropFirst(Self.descriptorsInMessage)
        }
        guard isTold else { return false }
        return try self.barrier(timeout: timeout)
    }

    /// Has systemd close all that it keeps under a name; returns when it has.
    @discardableResult
    package func remove(name: String, timeout: Duration) throws(SystemdError) -> Bool {
        try Self.check(name: name)
        guard try self.send(.remove(name: name)) else { return false }
        return try self.barrier(timeout: timeout)
    }

    /// systemd ignores a bad name and calls the descriptors `stored`: the next process would not find them.
    private static func check(name: String) throws(SystemdError) {
        let isUsable = name.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: ":") }
        guard isUsable, (1...255).contains(name.utf8.count) else { throw .unusableName(name) }
    }
}
