import Testing

@testable import Admin

@Suite struct StatusTextTests {
    @Test func aServer() {
        #expect(
            StatusText.render(.server(Samples.server)) == """
                controller-1: server 0.1.0, single, ready
                clients 2   streams 5   sessions 2 linked, 0 waiting   resumes 3 (68 KiB sent again)
                up 12s   buffers 1.0 KiB of 512 MiB   resident 28 MiB   fds 17

                SERVICE    HEALTHY  TARGETS
                apiserver  yes      127.0.0.1:6443, 127.0.0.1:6444 (refused)

                """)
    }

    @Test func aServerOfAClusterThatIsNotReady() {
        var status = Samples.server
        status.role = .follower
        status.leader = "controller-2"
        status.term = 7
        status.ready = false
        status.reason = "draining"
        status.draining = true
        status.services = []
        status.peers = [PeerStatus(name: "controller-2", addr: "10.0.0.12:17000", state: .alive, rttSeconds: 0.001)]
        let text = StatusText.render(.server(status))
        #expect(text.hasPrefix("controller-1: server 0.1.0, follower, NOT READY: draining\n"))
        #expect(text.contains("\nleader controller-2   term 7\n"))
        #expect(
            text.hasSuffix(
                "PEER          ADDR             STATE     RTT  VERSION\ncontroller-2  10.0.0.12:17000  alive  1.0 ms  -\n"))
    }

    @Test func aClient() {
        #expect(
            StatusText.render(.client(Samples.client)) == """
                k8s-worker-01: client 0.1.0, ready
                streams 1   sessions 0 linked, 0 waiting   resumes 0
                up 12s   buffers 1.0 KiB of 512 MiB   resident 28 MiB   fds 17

                SERVER        ADDR                LINK        RTT  SINCE                 REASON
                controller-1  203.0.113.11:17000  active  0.50 ms  2025-01-31T09:05:07Z  -
                -             203.0.113.12:17000  down          -  2025-01-31T09:05:07Z  connection refused

                FORWARD         SERVICE    HEALTHY  REASON
                127.0.0.1:6443  apiserver  yes      -

                EXPOSURE  TARGET            PORT  HEALTHY  REASON
                kubelet   127.0.0.1:10250      -  yes      -
                ssh       127.0.0.1:22     20022  NO       refused

                """)
    }

    @Test func tablesFitEightyColumns() {
        let now = Timestamp(milliseconds: Samples.time.milliseconds + 250_000)
        let tables = [
            Tables.clients([Samples.clientRow], now: now), Tables.exposures([Samples.exposureRow]),
            Tables.streams([Samples.streamRow], now: now), Tables.links(Samples.client.links),
            Tables.services(Samples.server.services),
        ]
        for table in tables {
            let lines = table.render(width: 80).split(separator: "\n")
            #expect(lines.count >= 2)
            #expect(lines.allSatisfy { $0.count <= 80 })
        }
    }

    @Test func theTablesOfClientsExposuresAndStreams() {
        let now = Timestamp(milliseconds: Samples.time.milliseconds + 250_000)
        #expect(
            Tables.clients([Samples.clientRow], now: now).render() == """
                CLIENT         ADDR                LINK    AGE      RTT  STREAMS  EXPOSURES
                k8s-worker-01  198.51.100.7:41000  up    4m10s  0.50 ms        5  kubelet,ssh

                """)
        #expect(
            Tables.exposures([Samples.exposureRow]).render() == """
                CLIENT         EXPOSURE  PORT  HEALTHY  SERVERS       REASON
                k8s-worker-01  kubelet      -  yes      controller-1  -

                """)
        #expect(
            Tables.streams([Samples.streamRow], now: now).render() == """
                CLIENT         ID  TARGET            SOURCE           STATE          AGE    IN   OUT
                k8s-worker-01   7  exposure kubelet  127.0.0.1:50000  half_closed  4m10s  10 B  20 B

                """)
    }
}
