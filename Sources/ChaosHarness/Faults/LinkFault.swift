/// Something that is wrong with the network of a lab, whose hosts are numbered from 0.
package enum LinkFault: Sendable, Equatable {
    /// Every packet between the two is dropped, and nobody is told.
    case cut(Int, Int)
    /// Every packet from the first to the second is dropped; addresses are still resolved, as over a router.
    case cutOneWay(Int, Int)
    /// Every packet from and to the host is dropped.
    case isolate(Int)
    /// This share (0 to 1) of the packets that reach the host is dropped, each by chance.
    case loss(Int, Double)
    /// What the host sends is limited to so many bytes a second; what comes faster waits, up to 400 ms, then is dropped.
    case rate(Int, Int)
    /// What the host sends is late by this.
    case delay(Int, Duration)

    /// The hosts that it names.
    var hosts: [Int] {
        switch self {
        case .cut(let one, let other), .cutOneWay(let one, let other): [one, other]
        case .isolate(let host), .loss(let host, _), .rate(let host, _), .delay(let host, _): [host]
        }
    }

    /// What is wrong with the fault itself; nil: nothing.
    func problem(hosts count: Int) -> String? {
        if let host = self.hosts.first(where: { !(0..<count).contains($0) }) {
            return "there is no host \(host): they are numbered from 0 to \(count - 1)"
        }
        switch self {
        case .cut(let one, let other) where one == other, .cutOneWay(let one, let other) where one == other:
            return "a host cannot be cut from itself"
        case .loss(_, let share) where !(0...1).contains(share): return "a share is a number from 0 to 1, not \(share)"
        case .rate(_, let bytes) where !(1_000...1_000_000_000).contains(bytes):
            return "a rate is 1000 to 1000000000 bytes a second, not \(bytes)"
        case .delay(_, let delay) where !(Duration.zero ... .seconds(10)).contains(delay):
            return "a delay is 0 to 10 s, not \(delay)"
        default: return nil
        }
    }
}

/// A fault that was begun; it is undone by this.
package struct LinkFaultID: Sendable, Hashable, Comparable {
    let number: Int

    package static func < (one: LinkFaultID, other: LinkFaultID) -> Bool { one.number < other.number }
}

/// The rules of nftables for the faults at work. Pure.
enum LinkRules {
    /// The bridge's ends of a host's cable: the plain one, and that of its `DelayedLink`, if it has one.
    static func ports(_ host: Int) -> String { "{ \"\(NamespaceLab.port(host))\", \"\(NamespaceLab.delayPort(host))\" }" }

    static let table = """
        add table bridge cuts
        add chain bridge cuts forward { type filter hook forward priority 0; policy accept; }
        """

    /// One transaction that puts the rules for these faults in the place of all that were there.
    static func text(_ faults: [LinkFault]) -> String {
        (["flush chain bridge cuts forward"] + faults.flatMap { self.rules($0) }.map { "add rule bridge cuts forward \($0)" })
            .joined(separator: "\n") + "\n"
    }

    /// Packets of connections that exist are dropped as well as those of new ones: nothing here knows of connections.
    static func rules(_ fault: LinkFault) -> [String] {
        switch fault {
        case .cut(let one, let other): [self.way(one, other), self.way(other, one)].map { "\($0) drop" }
        case .cutOneWay(let one, let other): ["\(self.way(one, other)) ether type ip drop"]
        case .isolate(let host): ["iifname \(self.ports(host)) drop", "oifname \(self.ports(host)) drop"]
        case .loss(let host, let share):
            // A chance of all is none that the kernel takes.
            [share > 0.99999 ? "oifname \(self.ports(host)) drop" : "oifname \(self.ports(host)) \(self.chance(share)) drop"]
        case .rate, .delay: []
        }
    }

    private static func chance(_ share: Double) -> String { "numgen random mod 100000 < \(Int((share * 100_000).rounded()))" }

    private static func way(_ from: Int, _ to: Int) -> String { "iifname \(self.ports(from)) oifname \(self.ports(to))" }
}
