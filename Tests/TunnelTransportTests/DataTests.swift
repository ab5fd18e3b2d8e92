import Foundation
import Testing
import TunnelWire

@testable import TunnelTransport

extension Transport {
    @Suite struct DataTests {
        @Test func anEchoComesBackThroughAForward() async throws {
            try await TunnelBed.with { bed in
                let backend = try Backend.echo()
                bed.service("echo", backend)
                let client = try await bed.client()
                let port = try await client.forward(to: "echo").port
                let answer = try await onThread {
                    let socket = try RawSocket.connect(port: port)
                    try socket.send("hello through the tunnel")
                    socket.finish()
                    return (try socket.receive(exactly: 24), socket.drain().end)
                }
                #expect(String(decoding: answer.0, as: UTF8.self) == "hello through the tunnel")
                #expect(answer.1 == .finished)
                #expect(client.outcomes.entries == [.opened])
            }
        }
    }
}
