/// Which event loop of a server the other end of a link lives on.
///
/// A session and its streams share a loop, so every link of a client must arrive there. The client says where to
/// by the host name in its TLS greeting, which is read before anything else; it is made from the client's name alone and
/// shows no more than sixteen bits of it.
package enum Placement {
    private static let suffix = ".gotunnel"

    /// FNV-1a of the name, folded to sixteen bits.
    package static func key(client name: String) -> UInt16 {
        var hash: UInt32 = 2_166_136_261
        for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return UInt16(truncatingIfNeeded: hash >> 16 ^ hash)
    }

    /// The host name that a client sends: `p<key in hexadecimal>.gotunnel`.
    package static func hostName(client name: String) -> String {
        "p\(String(self.key(client: name), radix: 16))\(self.suffix)"
    }

    /// What a server sends that dials a peer's control link, which has an event loop of its own there.
    package static let controlHostName = "control" + suffix

    /// What a server sends for the data session of its event loop `index`: at the peer it lives on the loop `index` modulo
    /// the number of loops there.
    package static func hostName(loop index: Int) -> String {
        "p\(String(UInt16(truncatingIfNeeded: index), radix: 16))\(self.suffix)"
    }

    /// The key in a host name, nil when there is none.
    package static func key(hostName: String) -> UInt16? {
        guard hostName.hasPrefix("p"), hostName.hasSuffix(self.suffix) else { return nil }
        return UInt16(hostName.dropFirst().dropLast(self.suffix.count), radix: 16)
    }

    /// The index of the loop among `count`.
    package static func loop(key: UInt16, count: Int) -> Int { Int(key) % max(1, count) }
}
