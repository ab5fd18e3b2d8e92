import TunnelWire

/// The times and bounds of a `Registry`. Sizes in bytes.
package struct RegistryConfiguration: Sendable {
    /// How often digests are exchanged with one peer.
    package var exchangeInterval: Duration = .seconds(1)
    /// What one message may hold, its parts' headers included. One entry is always sent, whatever its size.
    package var deltaLimit = 56 << 10
    /// How many messages may answer one digest. Who needs more asks again.
    package var deltasPerDigest = 8
    /// How long an owner keeps its tombstones.
    package var tombstoneAge: Duration = .seconds(60)
    /// How long the entries of an owner that is gone are kept.
    package var forgetAfter: Duration = .seconds(24 * 3_600)
    /// The most entries in all, tombstones included.
    package var entries = 1_000_000
    /// The most owners, this server and the forgotten ones included.
    package var owners = RegistryLimits.owners

    package init() {}
}

/// What a `Registry` wants done, in this order.
package enum RegistryAction: Equatable, Sendable {
    case send(RegistryMessage, to: ServerName)
    /// What is known of another server's entry has changed; nil: it is gone, or its owner is.
    case changed(owner: ServerName, RegistryKey, RegistryRecord?)
}

/// How far the entries of one owner are known.
package struct RegistryVersion: Equatable, Sendable {
    package var generation: UInt64
    package var version: UInt64

    package init(generation: UInt64, version: UInt64) {
        self.generation = generation
        self.version = version
    }
}
