import FoundationEssentials
import Settings

/// The JSON of the file that keeps what servers announced.
struct LearnedServersDocument: Codable {
    /// Why bytes are no such document: what follows the file's name in a message.
    struct Fault: Error, Equatable {
        var problem: String
    }

    struct Server: Codable {
        var name: String
        var addresses: [String]
    }

    struct Announcer: Codable {
        var name: String
        var instance: String
        var version: UInt64
        var heard: Int64
        var servers: [Server]
    }

    /// What every format has.
    private struct Header: Decodable {
        var format: Int
    }

    /// The version of the format that this code reads and writes.
    static let currentFormat = 1

    var format: Int
    var announcers: [Announcer]

    /// Equal contents give equal bytes. What would exceed `maximumSize` is left out, the longest unheard first.
    static func encode(_ learned: [LearnedServers], maximumSize: Int) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        var size = 64
        let newestFirst = learned.sorted { ($0.heard, $1.announcer) > ($1.heard, $0.announcer) }.map(Announcer.init)
        let kept = newestFirst.prefix { entry in
            size += entry.sizeBound
            return size <= maximumSize
        }
        let document = Self(format: Self.currentFormat, announcers: kept.sorted { $0.name < $1.name })
        // Text and whole numbers: there is nothing that the encoder could refuse.
        guard let bytes = try? encoder.encode(document) else { return Array("{\"announcers\":[],\"format\":1}\n".utf8) }
        return Array(bytes) + [UInt8(ascii: "\n")]
    }

    static func decode(_ bytes: [UInt8]) -> Result<[LearnedServers], Fault> {
        let decoder = JSONDecoder()
        let data = Data(bytes)
        guard let header = try? decoder.decode(Header.self, from: data) else { return .failure(Fault(problem: "is damaged")) }
        guard header.format == Self.currentFormat else {
            return .failure(Fault(problem: "has format \(header.format), and this version knows format \(Self.currentFormat)"))
        }
        guard let document = try? decoder.decode(Self.self, from: data) else { return .failure(Fault(problem: "is damaged")) }
        let learned = document.announcers.compactMap(\.learned)
        guard learned.count == document.announcers.count else {
            return .failure(Fault(problem: "holds a name or an address that is none"))
        }
        return .success(learned)
    }
}

extension LearnedServersDocument.Announcer {
    init(_ learned: LearnedServers) {
        self.init(
            name: learned.announcer, instance: learned.instance, version: learned.announcement.version, heard: learned.heard,
            servers: learned.announcement.servers.map {
                LearnedServersDocument.Server(name: $0.name, addresses: $0.addresses.map(\.description))
            })
    }

    /// Nil when it holds what no announcement can hold.
    var learned: LearnedServers? {
        guard Names.processName(self.name) == self.name, self.instance.utf8.count == 32,
            self.instance.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        var announced: [ServerAnnouncement.Server] = []
        for server in self.servers {
            let addresses = server.addresses.compactMap { HostPort($0) }
            guard server.name.isEmpty || Names.processName(server.name) == server.name,
                addresses.count == server.addresses.count
            else { return nil }
            announced.append(ServerAnnouncement.Server(name: server.name, addresses: addresses))
        }
        return LearnedServers(
            announcer: self.name, instance: self.instance,
            announcement: ServerAnnouncement(version: self.version, servers: announced), heard: self.heard)
    }

    /// The most bytes that it takes in the file, indentation included.
    fileprivate var sizeBound: Int {
        let texts = self.servers.flatMap { [$0.name] + $0.addresses } + [self.name, self.instance]
        return texts.reduce(400) { $0 + $1.utf8.count + 100 }
    }
}
