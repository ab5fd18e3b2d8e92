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
        #expect(
            NamespaceLab.rules(.bothWays, between: 3, and: 0) == [
                "add rule bridge cuts forward iifname v4 oifname v1 drop",
                "add rule bridge cuts forward iifname v1 oifname v4 drop",
            ])
        #expect(
            NamespaceLab.rules(.onlyThere, between: 3, and: 0) == [
                "add rule bridge cuts forward iifname v4 oifname v1 ether type ip drop"
            ])
        #expect(
            NamespaceLab.rules(.onlyBack, between: 3, and: 0) == [
                "add rule bridge cuts forward iifname v1 oifname v4 ether type ip drop"
            ])
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
