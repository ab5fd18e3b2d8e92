import Testing

@testable import ChaosHarness

@Suite("Test hosts in network namespaces")
struct NamespaceLabTests {
    @Test("what a run left that is over is told from what runs, and from what is not ours")
    func leftovers() {
        let isRunning: (Int32) -> Bool = { $0 == 100 }
        #expect(NamespaceLab.isLeftover("gtc99-1", isRunning: isRunning))
        #expect(NamespaceLab.isLeftover("gtc99-br", isRunning: isRunning))
        #expect(!NamespaceLab.isLeftover("gtc100-1", isRunning: isRunning))
        for name in ["lab1", "gtc", "gtc-1", "gtcx-1", "gtc99", "agtc99-1", "gtc99x-1", "gtc99999999999-1"] {
            #expect(!NamespaceLab.isLeftover(name, isRunning: isRunning), "\(name)")
        }
    }

    @Test("a cut drops the packets of its direction, and leaves ARP where only one is cut")
    func cuts() {
        let (one, other) = ("{ \"v4\", \"d4\" }", "{ \"v1\", \"d1\" }")
        #expect(
            LinkRules.rules(.cut(3, 0)) == ["iifname \(one) oifname \(other) drop", "iifname \(other) oifname \(one) drop"])
        #expect(LinkRules.rules(.cutOneWay(3, 0)) == ["iifname \(one) oifname \(other) ether type ip drop"])
        #expect(LinkRules.rules(.isolate(3)) == ["iifname \(one) drop", "oifname \(one) drop"])
        #expect(LinkRules.rules(.loss(3, 0.25)) == ["oifname \(one) numgen random mod 100000 < 25000 drop"])
        #expect(LinkRules.rules(.loss(3, 1)) == ["oifname \(one) drop"])
    }

    @Test("all rules are replaced at once by those of the faults at work")
    func transaction() {
        let text = LinkRules.text([.cutOneWay(0, 1), .rate(0, 5_000), .isolate(1)])
        #expect(text.split(separator: "\n").count == 4 && text.hasPrefix("flush chain bridge cuts forward\n"))
    }

    @Test("of several rates the lowest holds, delays add up, each for its host")
    func sums() {
        let faults: [LinkFault] = [
            .rate(0, 9_000), .rate(1, 1_000), .rate(0, 5_000), .delay(0, .milliseconds(3)), .delay(0, .milliseconds(4)),
        ]
        #expect(NamespaceLab.rate(of: 0, faults) == 5_000)
        #expect(NamespaceLab.rate(of: 2, faults) == nil)
        #expect(NamespaceLab.delay(of: 0, faults) == .milliseconds(7))
        #expect(NamespaceLab.delay(of: 1, faults) == .zero)
    }

    @Test("a fault that makes no sense is refused with what is wrong")
    func refused() {
        let faults: [LinkFault] = [
            .cut(0, 3), .cut(1, 1), .cutOneWay(-1, 0), .loss(0, 1.1), .loss(0, .nan), .rate(0, 0), .delay(0, .seconds(-1)),
            .delay(0, .seconds(11)), .isolate(3),
        ]
        for fault in faults { #expect(fault.problem(hosts: 3) != nil, "\(fault)") }
        for fault in [LinkFault.cut(0, 2), .loss(1, 1), .rate(2, 1_000), .delay(0, .zero)] {
            #expect(fault.problem(hosts: 3) == nil, "\(fault)")
        }
    }

    @Test("a program of a host runs inside its namespace, one of loopback as it is")
    func commands() {
        #expect(
            StageHost(address: "10.98.0.1", namespace: "gtc1-1").command(["x", "y"]) == [
                "ip", "netns", "exec", "gtc1-1", "x", "y",
            ])
        #expect(StageHost.loopback.command(["x", "y"]) == ["x", "y"])
    }
}
