import Foundation
import Testing
import Timing
import TunnelWire

@testable import ClusterCore

/// Plays a script and writes down what happens. Lines that begin with `>` are commands, the others what the servers did.
///
/// ```
/// > cluster ABC              A, B and C start, are linked, and have been up for E
/// > cluster AB of ABC        only A and B start
/// > timeout A                A's clock goes to where its election has something to do; nobody else's does
/// > wait A 500               A's clock goes on by 500 ms
/// > pass 500                 all clocks go on by 500 ms, and after each 50 ms all settles
/// > deliver A→B vote?        the letters that begin so and are on their way now, or all of them; `A→` to whom ever, `→B`
/// > drop A→B                 they are lost
/// > again A→B write          the last letter that begins so and was delivered or lost on this way arrives once more
/// > late A→B install         takes a letter off its way; `again` has it arrive
/// > store AB                 what A and B want on disk is on disk
/// > settle                   all letters arrive and all disks write at once, until nothing is left to do
/// > elect A                  timeout A and settle, and nothing is told of it
/// > crash A, restart A, wipe A    silently; what is not on disk is lost; with `wipe` the disk is
/// > reset A-B, silence A-B, link A-B    the link breaks; it is given up since nothing is heard; there is a new one
/// > request A 1 w1           client w1 wants a port, at A; the request is number 1 there
/// > register A w1, forget A w1    w1 is registered at A
/// > add A 2 D, remove A 2 D, transfer A 2 D, found A 2    operators' commands at A
/// > unbind A                 A closes the listeners that it was asked to close
/// > state A
/// > hide heartbeat heard     does not tell of letters of these kinds, nor of disks with `writes`
/// ```
struct AgreementScript {
    var world: AgreementWorld
    private var hidden: Set<Substring> = []
    private var past: [Letter] = []

    init(mutant: ClusterMutant? = nil) { self.world = AgreementWorld(mutant: mutant) }

    /// What the script should look like, if all went as it did.
    mutating func run(_ script: String) -> String {
        var lines: [String] = []
        for line in script.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty || line.hasPrefix("#") {
                lines.append(String(line))
            } else if line.hasPrefix("> ") {
                lines.append(String(line))
                self.world.log = []
                self.perform(line.dropFirst(2).split(separator: " "))
                lines += self.world.log.filter { !self.isHidden($0) }.map { "  " + $0 }
            }
        }
        return lines.joined(separator: "\n")
    }

    private func isHidden(_ line: String) -> Bool {
        let words = line.split(separator: " ")
        return words.count > 1 && self.hidden.contains(words[1])
    }

    private mutating func perform(_ words: [Substring]) {
        let name = words.count > 1 ? String(words[1]) : ""
        switch words[0] {
        case "cluster":
            for name in words[1].map(String.init) { self.world.add(name, founders: (words.last ?? "").map(String.init)) }
            for name in self.world.names { self.world.start(name) }
            for name in self.world.names { self.world.advance(name, by: .seconds(1)) }
            self.world.log = []
        case "retention": self.world.retention = .milliseconds(Int(name) ?? 0)
        case "ports": self.world.ports = [20_000...(UInt16(name) ?? 20_000)]
        case "hide": self.hidden.formUnion(words.dropFirst())
        case "show": self.hidden.subtract(words.dropFirst())
        case "timeout": self.world.timeout(name)
        case "wait": self.world.advance(name, by: .milliseconds(Int(words[2]) ?? 0))
        case "pass": self.pass(Int(name) ?? 0)
        case "store": for name in words[1] { self.world.store(String(name)) }
        case "settle": self.past += self.world.settle()
        case "elect":
            self.world.timeout(name)
            self.past += self.world.settle()
            self.world.log = []
        case "unbind": self.world.unbind(name)
        case "state": self.state(name)
        case "deliver", "drop", "late", "again": self.mail(words)
        default: self.disturb(words, name)
        }
    }

    private mutating func pass(_ milliseconds: Int) {
        for _ in 0..<milliseconds / 50 {
            for name in self.world.names { self.world.advance(name, by: .milliseconds(50)) }
            self.past += self.world.settle()
        }
    }

    private mutating func disturb(_ words: [Substring], _ name: ServerName) {
        let pair = name.split(separator: "-").map(String.init)
        switch words[0] {
        case "crash": self.world.crash(name)
        case "restart": self.world.start(name)
        case "wipe": self.world.wipe(name)
        case "reset": self.world.unlink(pair[0], pair[1], .broken)
        case "silence": self.world.unlink(pair[0], pair[1], .silent)
        case "link": self.world.link(pair[0], pair[1])
        default: self.ask(words, name)
        }
    }

    private mutating func ask(_ words: [Substring], _ name: ServerName) {
        let subject = words.last.map(String.init) ?? ""
        switch words[0] {
        case "register", "forget": self.world.register(subject, at: name, words[0] == "register")
        default:
            guard words.count > 2, let id = UInt64(words[2]) else {
                Issue.record("no such command: \(words.joined(separator: " "))")
                return
            }
            let event: ClusterEvent =
                switch words[0] {
                case "request": .request(id: id, AgreementWorld.port(for: subject))
                case "add": .administer(id: id, .addVoter(subject))
                case "remove": .administer(id: id, .removeVoter(subject))
                case "transfer": .administer(id: id, .transfer(subject))
                default: .administer(id: id, .found)
                }
            self.world.apply(event, to: name)
        }
    }

    // MARK: Letters

    /// What follows a command that names a letter that is not there: a script with it shows nothing.
    static let noLetter = "there is no such letter"

    private mutating func mail(_ words: [Substring]) {
        let way = words[1].split(separator: "→", omittingEmptySubsequences: false)
        let start = words.dropFirst(2)
        let matches = { (letter: Letter) in
            (way[0].isEmpty || way[0].contains(letter.from)) && (way[1].isEmpty || way[1].contains(letter.to))
                && letter.message.inWords.split(separator: " ").starts(with: start)
        }
        if words[0] == "again" {
            guard let letter = self.past.last(where: matches) else { return self.world.log.append(Self.noLetter) }
            return self.deliver(letter)
        }
        let chosen = self.world.letters.filter(matches)
        if chosen.isEmpty { self.world.log.append(Self.noLetter) }
        self.world.letters.removeAll(where: matches)
        self.past += chosen
        if words[0] == "deliver" { for letter in chosen { self.deliver(letter) } }
    }

    /// A letter that is named and cannot arrive would show nothing.
    private mutating func deliver(_ letter: Letter) {
        guard self.world.canDeliver(letter) else { return self.world.log.append(Self.noLetter) }
        self.world.deliver(letter)
    }

    private mutating func state(_ name: ServerName) {
        guard let node = self.world.node(name) else { return self.world.log.append("\(name) is down") }
        let leadership = node.leadership
        let grants = node.assignments.state.grants.sorted { $0.key < $1.key }.map { port, grant in
            "\(port) \(grant.client) #\(grant.token.inWords)\(grant.isEnding ? " ending" : "")"
        }
        self.world.log.append(
            "\(name): \(leadership.role.rawValue) in term \(leadership.term), holds \(node.assignments.ballot.inWords), "
                + "settled \(node.assignments.settledBallot.inWords), voters \(leadership.voters.inWords)")
        if !grants.isEmpty { self.world.log.append("\(name): \(grants.joined(separator: ", "))") }
    }
}

extension AgreementWorld {
    static func port(for client: String) -> PortRequest {
        PortRequest(client: client, installation: WireID(high: 7, low: 7), exposure: "kubelet")
    }

    mutating func register(_ client: String, at name: ServerName, _ isThere: Bool) {
        let record = ClientRecord(
            installation: WireID(high: 7, low: 7), instance: WireID(high: 3, low: 3), address: "", since: 0,
            exposures: [ExposureRecord(name: "kubelet", port: .assigned, isHealthy: true)])
        self.apply(.set(RegistryKey(.client, client), isThere ? .client(record) : nil), to: name)
    }
}
