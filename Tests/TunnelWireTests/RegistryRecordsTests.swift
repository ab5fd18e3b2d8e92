import NIOCore
import Testing
import TunnelWire

/// Entries, digests and deltas of the registry come out as they went in, and nothing else gets in.
@Suite struct RegistryRecordsTests {
    @Test func messagesComeBackAsTheyWent() throws {
        for seed in UInt64(1)...300 {
            var random = SeededRandom(seed: seed)
            let message = random.registryMessage()
            var buffer = ByteBuffer()
            message.write(into: &buffer)
            #expect(try RegistryMessage(reading: &buffer) == message, "seed \(seed)")
            #expect(buffer.readableBytes == 0)
        }
    }

    @Test func aMessageThatIsCutAnywhereIsRefused() throws {
        for seed in UInt64(1)...40 {
            var random = SeededRandom(seed: seed)
            var whole = ByteBuffer()
            random.registryMessage().write(into: &whole)
            for length in 0..<min(whole.readableBytes, 600) {
                var cut = whole.getSlice(at: 0, length: length) ?? ByteBuffer()
                #expect(throws: WireError.self) { try RegistryMessage(reading: &cut) }
            }
        }
    }

    @Test func noiseIsReadOrRefusedAndNeverTraps() {
        var accepted = 0
        for seed in UInt64(1)...3_000 {
            var random = SeededRandom(seed: seed)
            var whole = ByteBuffer()
            random.registryMessage().write(into: &whole)
            for _ in 0..<3 {
                whole.setInteger(
                    UInt8.random(in: .min ... .max, using: &random), at: Int.random(in: 0..<whole.readableBytes, using: &random))
            }
            guard let message = try? RegistryMessage(reading: &whole) else { continue }
            accepted += 1
            var again = ByteBuffer()
            message.write(into: &again)
            #expect(throws: Never.self) { try RegistryMessage(reading: &again) }
        }
        #expect((1..<3_000).contains(accepted))
    }

    @Test(arguments: ["a", "ab", "abc", "worker-01.example", "z9", "0.1-2.3", String(repeating: "a", count: 63)])
    func namesTravelPacked(name: String) throws {
        var buffer = ByteBuffer()
        buffer.writePackedName(name)
        #expect(buffer.readableBytes == 1 + (name.utf8.count + 2) / 3 * 2)
        #expect(try buffer.readPackedName("name") == name)
    }

    @Test func theLongestNameTravels() throws {
        let name = Array(repeating: String(repeating: "z", count: 63), count: 4).joined(separator: ".").prefix(253)
        var buffer = ByteBuffer()
        buffer.writePackedName(String(name))
        #expect(try buffer.readPackedName("name") == name)
    }

    @Test(arguments: [
        "", "Upper", "a_b", "-a", "a..b", "ä", "a b", String(repeating: "a", count: 64),
        String(repeating: "a.", count: 130) + "a",
    ])
    func whatIsNoNameIsRefused(name: String) {
        var buffer = ByteBuffer()
        buffer.writePackedName(name)
        #expect(throws: WireError.self) { try buffer.readPackedName("name") }
    }

    @Test func aGroupBeyondTheLettersIsRefused() {
        var buffer = ByteBuffer(bytes: hex("03 d6 58"))
        #expect(refusal(try buffer.readPackedName("name")) == .malformed)
    }

    /// 64 KiB of REGISTER, with as many exposures as there may be, each with a fixed port.
    @Test(arguments: [1_024, 700, 254]) func theLargestRegistrationFitsIntoAFrame(count: Int) throws {
        let length = min(Limits.name, (Limits.framePayload - 10) / count - 4)
        let exposures = (0..<count).map { number in
            let letters = "e\(number)" + String(repeating: "x", count: 300)
            let labels = stride(from: 0, to: length, by: 50).map { String(letters.dropFirst($0).prefix(49)) }
            return String(labels.joined(separator: "a").prefix(length)).inLabels()
        }
        let register = Register(
            version: 1, exposures: exposures.map { ExposureDeclaration(name: $0, mappedPort: 1, isHealthy: true) })
        #expect(register.exposures.count == count)
        let record = ClientRecord(
            installation: WireID(high: .max, low: .max), instance: WireID(high: .max, low: .max),
            address: String(repeating: "a", count: 200), since: .max,
            exposures: register.exposures.map {
                ExposureRecord(name: $0.name, port: .fixed(65_535, claimedAt: .max), isHealthy: true)
            })
        let owner = String(repeating: "o", count: 253).inLabels()
        let entry = RegistryEntry(key: RegistryKey(.client, owner), version: 1, record: .client(record))
        #expect(entry.sendableSize == entry.size)
        #expect(entry.size <= RegistryLimits.entry && entry.size == entry.encoded().count)
        var buffer = ByteBuffer()
        let part = RegistryDelta.Part(owner: owner, generation: 1, base: 0, upTo: 1, asOf: 1, collected: 0, entries: [entry])
        RegistryMessage.delta(RegistryDelta(parts: [part])).write(into: &buffer)
        #expect(buffer.readableBytes <= 56 << 10)
        #expect(try RegistryMessage(reading: &buffer) == .delta(RegistryDelta(parts: [part])))
    }

    @Test func theLargestDigestFitsIntoAFrame() throws {
        let names = (0..<RegistryLimits.owners).map { "s\(1_000 + $0)" + String(repeating: "s", count: 248) }.map {
            $0.inLabels()
        }
        let owners = names.map { RegistryDigest.Owner(name: $0, generation: 1, version: 2, asOf: 3, collected: 1) }
        var buffer = ByteBuffer()
        RegistryMessage.digest(RegistryDigest(owners: owners, wantsDigest: true)).write(into: &buffer)
        #expect(buffer.readableBytes <= Limits.framePayload - 256)
        #expect(try RegistryMessage(reading: &buffer) == .digest(RegistryDigest(owners: owners, wantsDigest: true)))
    }

    @Test func moreThanTheBoundsIsCutByTheWriter() throws {
        var client = ClientRecord(
            installation: WireID(high: 0, low: 1), instance: WireID(high: 0, low: 2), address: "a", since: 1, exposures: [])
        client.exposures = (0..<1_030).map { ExposureRecord(name: "e\($0)", port: .none, isHealthy: true) }
        var server = ServerRecord(clientAddresses: [], isDraining: true, software: "s")
        server.clientAddresses = (0..<12).map { PeerAddress(host: "h\($0)", port: 1) }
        let records: [RegistryRecord] = [.client(client), .server(server)]
        for record in records {
            var buffer = ByteBuffer()
            record.write(into: &buffer)
            #expect(throws: Never.self) { try RegistryRecord(record.kind, reading: &buffer) }
            #expect(RegistryEntry(key: RegistryKey(record.kind, "n"), version: 1, record: record).sendableSize == nil)
        }
    }

    @Test func contradictionsAreRefused() {
        typealias Part = RegistryDelta.Part
        let entry = RegistryEntry(key: RegistryKey(.client, "a"), version: 5, record: nil)
        let good = Part(owner: "s", generation: 1, base: 4, upTo: 6, asOf: 7, collected: 2, entries: [entry])
        #expect(self.isRead(good))
        let bad: [(inout Part) -> Void] = [
            { $0.base = 7 }, { $0.upTo = 8 }, { $0.collected = 8 }, { $0.base = 5 }, { $0.upTo = 4 },
            { $0.generation = .max }, { $0.asOf = .max }, { $0.entries.append(entry) }, { $0.owner = "S" },
        ]
        for change in bad {
            var part = good
            change(&part)
            #expect(!self.isRead(part), "\(part)")
        }
    }

    @Test func digestsThatAreOutOfOrderOrTooLongAreRefused() {
        let owner = { RegistryDigest.Owner(name: $0, generation: 1, version: 1, collected: 0) }
        #expect(self.isRead(.digest(RegistryDigest(owners: [owner("a"), owner("b")], wantsDigest: false))))
        #expect(!self.isRead(.digest(RegistryDigest(owners: [owner("b"), owner("a")], wantsDigest: false))))
        #expect(!self.isRead(.digest(RegistryDigest(owners: [owner("a"), owner("a")], wantsDigest: false))))
        var contradicting = owner("a")
        contradicting.collected = 2
        #expect(!self.isRead(.digest(RegistryDigest(owners: [contradicting], wantsDigest: false))))
        for kind in ["01 00 01 01", "02 00 01 01"] {
            var buffer = ByteBuffer(bytes: hex(kind))
            #expect(refusal(try RegistryMessage(reading: &buffer)) == .tooLong)
        }
        var unknown = ByteBuffer(bytes: [3])
        #expect(refusal(try RegistryMessage(reading: &unknown)) == .malformed)
    }

    private func isRead(_ part: RegistryDelta.Part) -> Bool { self.isRead(.delta(RegistryDelta(parts: [part]))) }

    private func isRead(_ message: RegistryMessage) -> Bool {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        return (try? RegistryMessage(reading: &buffer)) == message
    }
}

extension String {
    /// The same length, with a dot where a label would get too long.
    fileprivate func inLabels() -> String {
        let last = self.utf8.count - 1
        return String(self.enumerated().map { $0.offset % 60 == 59 && $0.offset != last ? "." : $0.element })
    }
}

extension SeededRandom {
    fileprivate mutating func registryMessage() -> RegistryMessage {
        Bool.random(using: &self) ? .digest(self.registryDigest()) : .delta(self.registryDelta())
    }

    private mutating func number() -> UInt64 { UInt64.random(in: 0...(1 << 40), using: &self) }

    private mutating func registryDigest() -> RegistryDigest {
        let names = Set((0..<Int.random(in: 0...8, using: &self)).map { _ in self.name() })
        let owners = names.sorted().map { name in
            let versions = [self.number(), self.number()].sorted()
            let isReset = Bool.random(using: &self)
            return RegistryDigest.Owner(
                name: name, generation: self.number(), version: versions[0], asOf: isReset ? versions[1] : nil,
                collected: versions[0] / 2, isForgotten: Bool.random(using: &self))
        }
        return RegistryDigest(owners: owners, wantsDigest: Bool.random(using: &self), asksForOwn: Bool.random(using: &self))
    }

    private mutating func registryDelta() -> RegistryDelta {
        let parts = (0..<Int.random(in: 0...3, using: &self)).map { _ in
            let base = self.number()
            var version = base
            let entries = (0..<Int.random(in: 0...6, using: &self)).map { _ in
                version += UInt64.random(in: 1...9, using: &self)
                return self.registryEntry(version: version)
            }
            let upTo = version + UInt64.random(in: 0...3, using: &self)
            return RegistryDelta.Part(
                owner: self.name(), generation: self.number(), base: base, upTo: upTo, asOf: upTo + self.number(),
                collected: base / 2,
                entries: entries)
        }
        return RegistryDelta(parts: parts, hasMore: Bool.random(using: &self))
    }

    private mutating func registryEntry(version: UInt64) -> RegistryEntry {
        let record: RegistryRecord
        switch Int.random(in: 0..<3, using: &self) {
        case 0: record = .client(self.clientRecord())
        case 1: record = .service(ServiceRecord(isHealthy: Bool.random(using: &self), mayHedgeDial: Bool.random(using: &self)))
        default:
            let addresses = (0..<Int.random(in: 0...8, using: &self)).map { _ in
                PeerAddress(host: self.host(), port: UInt16.random(in: 1 ... .max, using: &self))
            }
            record = .server(
                ServerRecord(clientAddresses: addresses, isDraining: Bool.random(using: &self), software: self.text()))
        }
        return RegistryEntry(
            key: RegistryKey(record.kind, self.name()), version: version,
            record: Int.random(in: 0..<4, using: &self) == 0 ? nil : record)
    }

    private mutating func clientRecord() -> ClientRecord {
        let exposures = (0..<Int.random(in: 0...5, using: &self)).map { _ in
            let ports: [ExposureRecord.Port] = [
                .none, .assigned, .fixed(UInt16.random(in: 1 ... .max, using: &self), claimedAt: self.next()),
            ]
            let port = ports.randomElement(using: &self) ?? .none
            return ExposureRecord(name: self.name(), port: port, isHealthy: Bool.random(using: &self))
        }
        return ClientRecord(
            installation: self.wireID(), instance: self.wireID(), address: self.text(), since: self.next(), exposures: exposures)
    }
}
