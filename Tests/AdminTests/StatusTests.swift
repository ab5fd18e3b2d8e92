import Testing

@testable import Admin

@Suite struct StatusTests {
    private func text(_ value: some Encodable) throws -> String {
        String(decoding: try AdminJSON.encode(value), as: UTF8.self)
    }

    private let processText =
        #""process":{"memory_budget_bytes":536870912,"memory_bytes":1024,"open_fds":17,"pid":42,"resident_bytes":30000000,"#
        + #""started_at":"2025-01-31T09:05:07.042Z","uptime_seconds":12.5}"#

    @Test func serverStatus() throws {
        #expect(
            try text(DaemonStatus.server(Samples.server))
                == #"{"clients":2,"cluster":null,"draining":false,"kind":"server","leader":null,"#
                + #""name":"controller-1","peers":[],"# + processText
                + #","ready":true,"role":"single","services":[{"healthy":true,"#
                + #""name":"apiserver","targets":[{"addr":"127.0.0.1:6443","healthy":true,"reason":null},"#
                + #"{"addr":"127.0.0.1:6444","healthy":false,"reason":"refused"}]}],"sessions":{"bytes_in":1,"bytes_out":2,"linked":2,"#
                + #""replay_bytes":100,"resumed_bytes":70000,"resumes":3,"waiting":0},"streams":5,"term":0,"version":"0.1.0","voters":[]}"#
        )
    }

    @Test func clientStatus() throws {
        #expect(
            try text(DaemonStatus.client(Samples.client)) == #"{"draining":false,"exposures":[{"healthy":true,"name":"kubelet","#
                + #""port":null,"reason":null,"target":"127.0.0.1:10250"},{"healthy":false,"name":"ssh","port":20022,"reason":"refused","#
                + #""target":"127.0.0.1:22"}],"forwards":[{"healthy":true,"listen":"127.0.0.1:6443","reason":null,"#
                + #""service":"apiserver"}],"kind":"client","links":[{"addr":"203.0.113.11:17000","reason":null,"rtt_seconds":0.0005,"#
                + #""server":"controller-1","since":"2025-01-31T09:05:07.042Z","state":"active"},{"addr":"203.0.113.12:17000","#
                + #""reason":"connection refused","rtt_seconds":null,"server":null,"since":"2025-01-31T09:05:07.042Z","state":"down"}],"#
                + #""name":"k8s-worker-01","# + processText + #","ready":true,"sessions":{"bytes_in":0,"bytes_out":0,"linked":0,"#
                + #""replay_bytes":0,"resumed_bytes":0,"resumes":0,"waiting":0},"streams":1,"version":"0.1.0"}"#)
    }

    @Test func rows() throws {
        #expect(
            try text(Samples.clientRow)
                == #"{"addr":"198.51.100.7:41000","bytes_in":1,"bytes_out":2,"exposures":["kubelet","ssh"],"#
                + #""instance":"00112233445566778899aabbccddeeff","linked":true,"name":"k8s-worker-01","replay_bytes":100,"resumes":3,"#
                + #""rtt_seconds":0.0005,"servers":["controller-1"],"since":"2025-01-31T09:05:07.042Z","streams":5,"version":"0.1.0"}"#
        )
        #expect(
            try text(Samples.exposureRow)
                == #"{"client":"k8s-worker-01","healthy":true,"name":"kubelet","port":null,"servers":["controller-1"]}"#)
        #expect(
            try text(Samples.streamRow) == #"{"bytes_in":10,"bytes_out":20,"client":"k8s-worker-01","id":7,"kind":"exposure","#
                + #""opened_by":"server","since":"2025-01-31T09:05:07.042Z","source":"127.0.0.1:50000","state":"half_closed","#
                + #""target":"kubelet"}"#)
        #expect(
            try text(PeerStatus(name: "b", addr: "10.0.0.2:17000", state: .restarting))
                == #"{"addr":"10.0.0.2:17000","name":"b","rtt_seconds":null,"state":"restarting","version":null}"#)
    }

    @Test func everythingComesBack() throws {
        func back<Value: Codable & Equatable>(_ value: Value) throws -> Bool {
            try AdminJSON.decode(Value.self, from: AdminJSON.encode(value)) == value
        }
        #expect(try back(DaemonStatus.server(Samples.server)))
        #expect(try back(DaemonStatus.client(Samples.client)))
        #expect(try back([Samples.clientRow]))
        #expect(try back([Samples.exposureRow]))
        #expect(try back([Samples.streamRow]))
    }

    @Test func unknownAndMissingKeysAreForgiven() throws {
        let json = #"{"addr":"a:1","state":"alive","name":"p","invented_later":[1]}"#
        let peer = try AdminJSON.decode(PeerStatus.self, from: Array(json.utf8))
        #expect(peer == PeerStatus(name: "p", addr: "a:1", state: .alive))
    }
}
