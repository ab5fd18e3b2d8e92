import Daemon
import Foundation
import Identity
import NIOCore
import TunnelTransport
import TunnelWire

extension HandoffKind {
    /// A client's session: a ``FrozenClient``, then its driver.
    static let client = HandoffKind(rawValue: 0x0302)
    /// A data session that another server has dialled: a ``FrozenPeer``, then its driver and its lane.
    static let inbound = HandoffKind(rawValue: 0x0303)
    /// One that this server has dialled: the same.
    static let lane = HandoffKind(rawValue: 0x0304)
    /// Connections to mapped ports that are no streams yet.
    static let openings = HandoffKind(rawValue: 0x0305)
}

/// What a server's event loop leaves to the next process. Holds descriptors and buffers of this one.
struct FrozenLoop: Sendable {
    var clients: [(about: FrozenClient, driver: FrozenDriver)] = []
    var inbound: [(about: FrozenPeer, driver: FrozenDriver, lane: GossipLane.Frozen)] = []
    var lanes: [(about: FrozenPeer, driver: FrozenDriver, lane: GossipLane.Frozen)] = []
    var openings: [FrozenConnection] = []
    var listeners: [HandoffListener] = []

    /// Every session of it.
    var drivers: [FrozenDriver] { self.clients.map(\.driver) + self.inbound.map(\.driver) + self.lanes.map(\.driver) }
}

/// A client's session besides its streams.
struct FrozenClient: Codable, Sendable {
    struct Exposure: Codable, Sendable {
        var name: String
        var mappedPort: UInt16?
        var isHealthy: Bool
        var wantsPort: Bool
        /// When its port was granted, in milliseconds since 1970.
        var claimedAt: UInt64?
    }

    var session: WireID
    var name: String
    var installation: WireID
    var instance: WireID
    /// 32 bytes.
    var secret: [UInt8]
    var software: String
    var tokenID: String?
    var address: String
    /// When it began, in milliseconds since 1970.
    var since: UInt64
    /// Of its last registration; nil: it has not registered yet.
    var version: UInt64?
    var exposures: [Exposure]
}

/// A data session between servers besides its streams.
struct FrozenPeer: Codable, Sendable {
    var server: ServerName
    /// Of the other server.
    var instance: WireID
    var session: WireID
    var secret: [UInt8]
    /// Of the event loops.
    var loop: Int
}

extension HandoffOutput {
    mutating func append(_ loop: FrozenLoop) throws {
        for (about, driver) in loop.clients {
            try self.append(.client, about)
            try self.append(driver)
        }
        for (kind, sessions) in [(HandoffKind.inbound, loop.inbound), (.lane, loop.lanes)] {
            for (about, driver, lane) in sessions {
                try self.append(kind, about)
                try self.append(driver)
                try self.append(lane)
            }
        }
        guard !loop.openings.isEmpty else { return }
        try self.append(HandoffRecord(.openings, ByteBuffer()))
        try self.append(loop.openings)
    }
}
