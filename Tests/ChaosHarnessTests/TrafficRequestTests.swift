import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import ChaosHarness

@Suite("Requests and the backend")
struct TrafficRequestTests {
    @Test("every request is answered, over a connection of its own, and the backend counts the same")
    func answered() async throws {
        try await withBackend("one") { one in
            try await withBackend("two") { two in
                let report = try await RequestTraffic(plan(one.httpsAddress, two.httpsAddress)).run()
                #expect(report.requests.count == 20)
                for request in report.requests {
                    #expect(request.ok, "\(request.error ?? "")")
                    #expect(request.server == (request.path == .forward ? "one" : "two"))
                    let connected = try #require(request.connectedMs)
                    let secured = try #require(request.tlsMs)
                    #expect(connected <= secured && secured <= request.tookMs)
                }
                #expect(report.requests.map(\.atMs) == (0..<20).map { Double($0) * 10 })
                for backend in [one, two] {
                    #expect(backend.stats.requests == 10)
                    #expect(backend.stats.httpsConnections == 10)
                }
            }
        }
    }

    @Test("a backend that goes away makes its requests fail, and the others' not")
    func backendGone() async throws {
        let struck = try await Backend.start(name: "struck", https: loopback(), pattern: loopback())
        try await withBackend("control") { control in
            let traffic = RequestTraffic(plan(struck.httpsAddress, control.httpsAddress, duration: .seconds(60)))
            async let report = traffic.run()
            try await until { struck.stats.requests >= 3 }
            try await struck.stop()
            let before = control.stats.requests
            try await until { control.stats.requests >= before + 5 }
            traffic.stop()
            let requests = try await report.requests
            let forward = requests.filter { $0.path == .forward }
            #expect(forward.count { $0.ok } >= 3)
            let failed = forward.filter { !$0.ok }
            #expect(failed.contains { $0.error == "connecting: connection refused" })
            #expect(failed.allSatisfy { $0.error != nil && $0.server == nil })
            #expect(requests.allSatisfy { $0.path == .forward || $0.ok })
            #expect(requests.count < 2 * 60 * 50)
        }
    }

    @Test("says at which stage a request failed")
    func stages() async throws {
        let refusing = try await refusedAddress()
        let closing = try await Listener.start { $0.close(promise: nil) }
        let silent = try await Listener.start { _ in }
        let report = try await RequestTraffic(plan(refusing, closing.address)).run()
        for request in report.requests {
            #expect(!request.ok)
            switch request.path {
            case .forward: #expect(request.error == "connecting: connection refused" && request.connectedMs == nil)
            case .control: #expect(request.error?.hasPrefix("TLS handshake: ") == true && request.tlsMs == nil)
            }
        }
        let late = try await RequestTraffic(
            RequestsPlan(
                forward: silent.address, control: silent.address, interval: .milliseconds(50), duration: .milliseconds(100),
                limit: .milliseconds(200))
        ).run()
        #expect(late.requests.count == 4)
        #expect(late.requests.allSatisfy { $0.error == "TLS handshake: nothing within 200 ms" })
        try await closing.stop()
        try await silent.stop()
    }

    @Test("a run that is stopped before it began starts nothing")
    func stoppedEarly() async throws {
        let traffic = RequestTraffic(plan(try await refusedAddress(), try await refusedAddress()))
        traffic.stop()
        #expect(try await traffic.run().requests.isEmpty)
    }

    @Test("health checks are no requests, and their connections are told apart")
    func probes() throws {
        let tally = BackendTally()
        func ask(_ paths: [String]) throws -> [String] {
            let channel = EmbeddedChannel(handler: BackendHTTPHandler(name: "one", tally: tally))
            #expect(tally.accept(channel, at: .https))
            var bodies: [String] = []
            for path in paths {
                try channel.writeInbound(
                    HTTPServerRequestPart.head(HTTPRequestHead(version: .http1_1, method: .GET, uri: path)))
                try channel.writeInbound(HTTPServerRequestPart.end(nil))
                while let part = try channel.readOutbound(as: HTTPServerResponsePart.self) {
                    if case .body(.byteBuffer(let body)) = part { bodies.append(String(buffer: body)) }
                }
            }
            _ = try channel.finish()
            return bodies
        }
        #expect(try ask(["/readyz", "/readyz"]) == ["ok", "ok"])
        #expect(try ask(["/a", "/b?watch=1"]).allSatisfy { (900...1100).contains($0.utf8.count) })
        _ = try ask([])
        let stats = try ask(["/stats"])
        let counted = try JSONDecoder().decode(BackendStats.self, from: Data(#require(stats.first).utf8))
        #expect(counted == tally.stats)
        #expect(counted.requests == 2)
        // One that asked for objects, and one that asked for nothing.
        #expect(counted.httpsConnections == 2)
        #expect(counted.probeConnections == 2)
    }

    private func plan(
        _ forward: SocketAddress, _ control: SocketAddress, duration: TimeAmount = .milliseconds(200)
    ) -> RequestsPlan {
        RequestsPlan(forward: forward, control: control, interval: .milliseconds(20), duration: duration)
    }
}
