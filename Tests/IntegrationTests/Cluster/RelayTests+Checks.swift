import Testing

extension Integration.Cluster.RelayTests {
    /// Only server-2 stands in the client's file, and it has enough with one link.
    static var setup: GroupSetup { GroupSetup(client: "links: 1", isCluster: true, listed: [2], links: 1) }

    static func exposure(_ name: String, _ target: Int, _ port: Int) -> String {
        "{name: \(name), target: \"127.0.0.1:\(target)\", remote_port: \(port)}"
    }

    /// Waits until the client is linked to server-2 only and server-1 listens on the ports.
    static func whenRelayed(_ group: ServerGroup, ports: [Int]) async throws {
        try await group.accord()
        try await group.whenLinked(to: [group.servers[1]])
        for port in ports {
            try await eventually("\(group.servers[0].name) to listen on \(port)", within: .seconds(20)) { isListening(port) }
        }
    }

    private static let greeting = "it is me"

    /// A connection at server-1 and the one that comes out beside the client, known by what it says: the client looks after its
    /// targets by connecting to them, too.
    static func join(_ port: Int, _ target: TestListener) async throws -> (near: TestConnection, far: TestConnection) {
        let near = try await TestConnection.connect(port: port)
        do {
            try await near.write(Self.greeting)
            while true {
                let far = try await target.accept()
                if await (try? far.readText(Self.greeting.utf8.count)) == Self.greeting { return (near, far) }
                try await far.close()
            }
        } catch {
            try await near.close()
            throw error
        }
    }

    /// The same with sockets that block.
    private static func join(_ port: Int, _ listener: PlainSocket) throws -> (near: PlainSocket, far: PlainSocket) {
        let near = try PlainSocket.connect(port: port)
        try near.write(Array(Self.greeting.utf8))
        while true {
            let far = try listener.accept()
            if try far.read(exactly: Self.greeting.utf8.count) == Array(Self.greeting.utf8) { return (near, far) }
            far.close()
        }
    }

    /// Both directions at once, every byte counted and hashed at both ends.
    static func expectBulk(_ count: Int, _ port: Int, _ listener: PlainSocket) async throws {
        let (near, far) = try await onThread { try Self.join(port, listener) }
        let ends = try await Bulk.exchange(near, far, count: count, seed: 11)
        #expect(ends.near.sent.bytes == count && ends.near.sent == ends.far.received)
        #expect(ends.far.sent.bytes == count && ends.far.sent == ends.near.received)
        near.close()
        far.close()
    }

    /// Either end says that it is done and is answered afterwards.
    static func expectHalfCloses(_ port: Int, _ target: TestListener) async throws {
        for isNearFirst in [true, false] {
            let (near, far) = try await Self.join(port, target)
            let (first, second) = isNearFirst ? (near, far) : (far, near)
            try await first.write("the whole question")
            try await first.finish()
            #expect(try await second.readText(18) == "the whole question")
            #expect(try await second.ending() == .finished)
            try await second.write("the late answer")
            #expect(try await first.readText(15) == "the late answer")
            try await second.finish()
            #expect(try await first.ending() == .finished)
            try await near.close()
            try await far.close()
        }
    }

    /// A connection that one end cuts is never an orderly end for the other, with or without bytes on their way.
    static func expectResets(_ port: Int, _ target: TestListener) async throws {
        for isNearFirst in [true, false] {
            for size in [0, 1, 100_000] {
                let (near, far) = try await Self.join(port, target)
                let (first, second) = isNearFirst ? (near, far) : (far, near)
                try await first.write("!")
                #expect(try await second.readText(1) == "!")
                if size > 0 { try await first.write(Array(repeating: 7, count: size)) }
                try await first.reset()
                #expect(try await second.ending() == .reset, "after \(size) bytes")
                try await second.close()
            }
        }
    }
}
