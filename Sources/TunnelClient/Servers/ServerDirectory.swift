import Settings

/// What a server announces of itself and its peers (PEERS on the wire).
struct ServerAnnouncement: Sendable, Equatable {
    /// A server and where clients reach it.
    struct Server: Sendable, Equatable {
        /// Lower-cased; empty while the announcer does not know it.
        var name: String
        /// In order of preference. Of the announcer itself, none means "where you dialled".
        var addresses: [HostPort]
    }

    /// Grows with every change within one life of the announcer.
    var version: UInt64
    /// The announcer itself first.
    var servers: [Server]

    /// All of them, in the announced order.
    var addresses: [HostPort] { self.servers.flatMap(\.addresses) }
}

/// What one server announced last, and when it was last heard: what the client keeps on disk.
struct LearnedServers: Sendable, Equatable {
    /// How long an announcement outlives the last word of its announcer, in seconds.
    static let lifetime: Int64 = 7 * 24 * 3_600
    /// How far ahead of the clock a time may lie before it is not believed, in seconds: clocks are set back now and then.
    static let tolerance: Int64 = 300

    /// The name that the announcer authenticated with, lower-cased.
    var announcer: String
    /// The announcer's life, as 32 hexadecimal digits; versions of different lives do not compare.
    var instance: String
    var announcement: ServerAnnouncement
    /// Seconds since 1970, UTC.
    var heard: Int64

    /// Whether it was heard neither too long ago nor in the future.
    func isCredible(at now: Int64) -> Bool {
        (0...now + Self.tolerance).contains(self.heard) && now - self.heard <= Self.lifetime
    }
}

/// The server addresses that a client knows: those of its configuration, which never expire, and those that servers
/// announced. What a server announced stands until it announces something newer, or for a week after it was last heard.
/// Times are seconds since 1970, UTC.
struct ServerDirectory: Sendable {
    /// The most announcers kept; the one that was silent longest goes first.
    static let mostAnnouncers = 64
    /// The most servers taken from one announcement.
    static let mostServers = 64
    /// The most addresses taken of one server.
    static let mostAddressesOfServer = 8
    /// The most different addresses learned, all announcers together.
    static let mostAddresses = 256

    /// The addresses of the configuration, in its order, each once.
    private(set) var configured: [HostPort]
    private var learnedByAnnouncer: [String: LearnedServers] = [:]

    init(configured: [HostPort]) { self.configured = configured.withoutDuplicates() }

    /// Every known address, each once: the configured ones first, then the learned by their announcer's name.
    var addresses: [HostPort] {
        (self.configured + self.learned.flatMap(\.announcement.addresses)).withoutDuplicates()
    }

    /// What was learned, by the announcer's name.
    var learned: [LearnedServers] { self.learnedByAnnouncer.values.sorted { $0.announcer < $1.announcer } }

    /// Where a server is reached, by its own word first; empty when nobody named it.
    func addresses(ofServer name: String) -> [HostPort] {
        let name = name.lowercased()
        let own = self.learnedByAnnouncer[name].map { [$0] } ?? []
        let others = self.learned.filter { $0.announcer != name }
        return (own + others)
            .flatMap(\.announcement.servers)
            .filter { $0.name == name }
            .flatMap(\.addresses)
            .withoutDuplicates()
    }

    /// Takes what an earlier life of this client learned, as far as it is credible.
    mutating func restore(_ learned: [LearnedServers], at now: Int64) {
        // The one heard last goes last, so that it is not the first to make room.
        for entry in learned.sorted(by: { ($0.heard, $0.announcer) < ($1.heard, $1.announcer) })
        where entry.isCredible(at: now) {
            self.learn(entry.announcement, from: entry.announcer, instance: entry.instance, at: entry.heard)
        }
    }

    /// Takes what a server announced, unless it announced something newer in the same life.
    /// - Parameters:
    ///   - announcer: the name that it authenticated with.
    ///   - instance: its life, as 32 hexadecimal digits.
    /// - Returns: whether the known addresses or their names changed.
    @discardableResult
    mutating func learn(_ announcement: ServerAnnouncement, from announcer: String, instance: String, at now: Int64) -> Bool {
        let announcer = announcer.lowercased()
        let known = self.learnedByAnnouncer[announcer]
        if let known, known.instance == instance, known.announcement.version >= announcement.version {
            self.heard(from: announcer, at: now)
            return false
        }
        self.learnedByAnnouncer[announcer] = nil
        self.makeRoom()
        let bounded = self.bounded(announcement)
        self.learnedByAnnouncer[announcer] = LearnedServers(
            announcer: announcer, instance: instance, announcement: bounded, heard: now)
        return bounded.servers != known?.announcement.servers
    }

    /// A session with this server stands: what it announced stays good.
    mutating func heard(from announcer: String, at now: Int64) {
        self.learnedByAnnouncer[announcer.lowercased()]?.heard = now
    }

    /// Forgets what was announced too long ago.
    /// - Returns: whether the known addresses changed.
    @discardableResult
    mutating func expire(at now: Int64) -> Bool {
        let before = self.addresses
        self.learnedByAnnouncer = self.learnedByAnnouncer.filter { now - $0.value.heard <= LearnedServers.lifetime }
        return self.addresses != before
    }

    /// Takes the addresses of a configuration that was read anew.
    mutating func replaceConfigured(_ addresses: [HostPort]) { self.configured = addresses.withoutDuplicates() }

    private mutating func makeRoom() {
        guard self.learnedByAnnouncer.count >= Self.mostAnnouncers else { return }
        let oldest = self.learned.min { $0.heard < $1.heard }
        if let oldest { self.learnedByAnnouncer[oldest.announcer] = nil }
    }

    /// The announcement within the bounds; what is new beyond the bound of all addresses is cut.
    private func bounded(_ announcement: ServerAnnouncement) -> ServerAnnouncement {
        var kept = Set(self.learnedByAnnouncer.values.flatMap(\.announcement.addresses))
        let servers = announcement.servers.prefix(Self.mostServers).map { server in
            var addresses: [HostPort] = []
            for address in server.addresses.withoutDuplicates().prefix(Self.mostAddressesOfServer) {
                guard kept.contains(address) || kept.count < Self.mostAddresses else { continue }
                kept.insert(address)
                addresses.append(address)
            }
            return ServerAnnouncement.Server(name: server.name.lowercased(), addresses: addresses)
        }
        return ServerAnnouncement(version: announcement.version, servers: servers)
    }
}

extension Sequence where Element: Hashable {
    /// The first of each, in order.
    func withoutDuplicates() -> [Element] {
        var seen: Set<Element> = []
        return self.filter { seen.insert($0).inserted }
    }
}
