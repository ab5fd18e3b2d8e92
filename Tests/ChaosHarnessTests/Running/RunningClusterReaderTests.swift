import Settings
import Testing

@testable import ChaosHarness

@Suite("The file of a running cluster")
struct RunningClusterReaderTests {
    private static let good = """
        cluster: production-eu
        gotunnelctl: /usr/local/bin/gotunnelctl
        servers:
          - {name: controller-1, ssh: root@10.0.0.11, unit: gotunnel-server.service, socket: /run/gotunnel/server.sock}
          - {name: controller-2, ssh: two.internal, sudo: true, address: 10.0.0.12, port: 17001}
          - {name: controller-3}
        clients: [{name: worker-1}]
        probe: {url: https://127.0.0.1:6443/readyz, direct: "http://[::1]", every: 50ms, patience: 5s}
        """

    @Test("says who there is and how each is reached")
    func reads() throws {
        let cluster = try RunningClusterReader.read(Self.good, file: "c.yaml")
        #expect(cluster.name == "production-eu")
        #expect(cluster.control == "/usr/local/bin/gotunnelctl")
        #expect(cluster.servers.map(\.name) == ["controller-1", "controller-2", "controller-3"])
        #expect(cluster.servers[0].address == IPAddress("10.0.0.11"), "that of its ssh")
        #expect(
            cluster.servers[1]
                == RunningMember(
                    .server, "controller-2", ssh: "two.internal", needsSudo: true, address: IPAddress("10.0.0.12"), port: 17_001))
        #expect(cluster.servers[2].ssh == nil)
        #expect(cluster.servers[2].unit == "gotunnel-server.service")
        #expect(cluster.servers[2].address == nil)
        #expect(cluster.clients == [RunningMember(.client, "worker-1")])
        #expect(cluster.clients[0].socket == "/run/gotunnel/client.sock")
        #expect(cluster.probe?.url.description == "https://127.0.0.1:6443/readyz")
        #expect(cluster.probe?.direct?.description == "http://[::1]:80/")
        #expect(cluster.probe?.every == .milliseconds(50))
        #expect(cluster.probe?.patience == .seconds(5))
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var text: String
        var message: String
        var testDescription: String { self.message }
    }

    @Test(
        "one line says what is wrong, where, and how to mend it",
        arguments: [
            Wrong(text: "servers: [{name: a}]", message: "c.yaml:1: cluster: it is missing; write cluster: production-eu"),
            Wrong(
                text: "cluster: x\nservers: []",
                message: "c.yaml:2: servers: there is no server; write servers: [{name: controller-1, ssh: root@10.0.0.11}]"),
            Wrong(
                text: "cluster: x\nservers: [{ssh: a}]", message: "c.yaml:2: servers[0].name: it is missing; write name: worker-1"
            ),
            Wrong(
                text: "cluster: x\nservers: [{name: a}]\nclients: [{name: a}]",
                message:
                    "c.yaml:3: clients[0].name: this name is already on line 2; give every server and client a name of its own"),
            Wrong(
                text: "cluster: x\nservers: [{name: a, ssh: -oProxyCommand=reboot}]",
                message:
                    "c.yaml:2: servers[0].ssh: expected USER@HOST or a name of ssh_config, found \"-oProxyCommand=reboot\"; write ssh: root@10.0.0.11"
            ),
            Wrong(
                text: "cluster: x\nservers: [{name: a, unit: gotunnel-server}]",
                message:
                    "c.yaml:2: servers[0].unit: expected the name of a service, found \"gotunnel-server\"; write unit: gotunnel-server.service"
            ),
            Wrong(
                text: "cluster: x\nservers: [{name: a, unit: 'gotunnel*.service'}]",
                message:
                    "c.yaml:2: servers[0].unit: expected the name of a service, found \"gotunnel*.service\"; write unit: gotunnel-server.service"
            ),
            Wrong(
                text: "cluster: two words\nservers: [{name: a}]",
                message:
                    "c.yaml:1: cluster: expected a name of letters, digits, - . and _, found \"two words\"; write cluster: production-eu"
            ),
            Wrong(
                text: "cluster: x\nservers: [{name: a, sokcet: /x}]",
                message: "c.yaml:2: servers[0].sokcet: unknown key; did you mean socket?"),
            Wrong(
                text: "cluster: x\nservers: [{name: a}]\nprobe: {url: 127.0.0.1:6443}",
                message:
                    "c.yaml:3: probe.url: expected an address such as https://HOST:PORT/PATH, found \"127.0.0.1:6443\"; write url: https://127.0.0.1:6443/readyz"
            ),
            Wrong(
                text: "cluster: x\nservers: [{name: a}]\nprobe: {every: 1ms, url: http://a/}",
                message: "c.yaml:3: probe.every: expected a duration from 10ms to 1m, found \"1ms\"; write every: 100ms"),
        ])
    func wrong(_ wrong: Wrong) {
        let error = #expect(throws: SettingsError.self) { try RunningClusterReader.read(wrong.text, file: "c.yaml") }
        #expect(error?.lines == [wrong.message])
    }

    @Test("a file that is not there is named")
    func absent() {
        let problem = #expect(throws: Problem.self) { try RunningClusterReader.read(path: "/nonexistent/c.yaml") }
        #expect(problem?.rendered.hasPrefix("/nonexistent/c.yaml: it cannot be read;") == true)
    }

    @Test(
        "an address of a probe has a scheme, a host and a path",
        arguments: ["ftp://a/", "https://", "https://a:0/", "https://a b/", "x"])
    func noProbe(_ text: String) { #expect(ProbeAddress(text) == nil) }
}
