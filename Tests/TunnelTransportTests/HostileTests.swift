import Foundation
import NIOCore
import NIOSSL
import Testing
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Whoever is no client of ours: each is counted once, none harms the server, none keeps a connection.
    @Suite struct HostileTests {
        private func impatient() -> TunnelBed.Options {
            var options = TunnelBed.Options()
            options.handshakeLimit = .milliseconds(400)
            return options
        }

        /// After whatever happened, a good client still gets in.
        private func serverIsWell(_ bed: TunnelBed) async throws {
            let before = bed.observer.failures.count
            _ = try await bed.dial(try bed.dialer()).get()
            #expect(bed.observer.failures.count == before)
        }

        @Test(arguments: [
            "GET / HTTP/1.1\r\nHost: server-1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\u{16}\u{3}\u{1}\u{0}\u{4}abcd",
        ])
        func anotherProtocol(greeting: String) async throws {
            try await TunnelBed.with { bed in
                let peer = try await RawPeer.connect(port: bed.serverPort, offer: nil, group: bed.clientGroup)
                peer.send(Array(greeting.utf8))
                try await peer.waitClosed()
                #expect(try await bed.soleFailure() == .tls)
                try await self.serverIsWell(bed)
            }
        }

        @Test func randomBytes() async throws {
            try await TunnelBed.with(self.impatient()) { bed in
                var rng = SeededGenerator(seed: 42)
                for round in 1...40 {
                    let peer = try await RawPeer.connect(port: bed.serverPort, offer: nil, group: bed.clientGroup)
                    var bytes = rng.bytes(Int.random(in: 1...3_000, using: &rng))
                    // Some begin like a TLS handshake record, so that the greeting's own fields are met.
                    if round % 2 == 0 { bytes = [22, 3, UInt8(round % 5), UInt8(round % 8), 0] + bytes }
                    peer.send(bytes)
                    try await peer.waitClosed()
                    try await bed.noConnectionIsLeft()
                    #expect(bed.observer.failures.count == round)
                }
                #expect(bed.observer.kinds.allSatisfy { [.tls, .timeout].contains($0) })
                try await self.serverIsWell(bed)
            }
        }

        /// Random bytes where HELLO is due: behind a TLS handshake that is in order.
        @Test func randomFrames() async throws {
            try await TunnelBed.with(self.impatient()) { bed in
                var rng = SeededGenerator(seed: 43)
                for round in 1...30 {
                    let peer = try await bed.rawPeer()
                    try await peer.waitSecured()
                    var bytes = rng.bytes(Int.random(in: 8...2_000, using: &rng))
                    let hello: [UInt8] = [0, 0, 0, 0, FrameType.hello.rawValue, 0, 0, UInt8(round)]
                    if round % 2 == 0 { bytes = hello + bytes }
                    peer.send(bytes)
                    try await peer.waitClosed()
                    try await bed.noConnectionIsLeft()
                    #expect(bed.observer.failures.count == round)
                }
                #expect(bed.observer.kinds.allSatisfy { [.malformed, .timeout].contains($0) })
                #expect(bed.hostEvents.entries.isEmpty)
                try await self.serverIsWell(bed)
            }
        }

        @Test func aTLSClientThatDoesNotSpeakOurs() async throws {
            for protocols in [[], ["h2", "http/1.1"]] {
                try await TunnelBed.with { bed in
                    let peer = try await bed.rawPeer(protocols: protocols)
                    try await peer.waitClosed()
                    #expect(try await bed.soleFailure() == .tls)
                    #expect(peer.received.isEmpty)
                }
            }
        }

        @Test func anOlderTLS() async throws {
            try await TunnelBed.with { bed in
                let offer = RawPeer.Offer(maximum: .tlsv12, serverName: Placement.hostName(client: "worker-1"))
                let peer = try await RawPeer.connect(port: bed.serverPort, offer: offer, group: bed.clientGroup)
                try await peer.waitClosed()
                #expect(try await bed.soleFailure() == .tls)
            }
        }

        /// Over-long and out of place: named by what is wrong with it.
        @Test(arguments: [
            (FrameType.hello, 4_097, "too_long"), (.data, 10, "unexpected"), (.register, 20, "unexpected"),
            (.proof, 66, "unexpected"), (FrameType(rawValue: 0x3F), 5, "unknown_frame"), (.welcome, 2_000, "too_long"),
        ])
        func aFrameOutOfPlace(type: FrameType, length: Int, kind: String) async throws {
            try await TunnelBed.with { bed in
                let peer = try await bed.rawPeer()
                try await peer.waitSecured()
                var frame = ByteBuffer()
                frame.writeInteger(FrameHeader(stream: type == .data ? 1 : 0, type: type, length: length).packed)
                frame.writeRepeatingByte(1, count: length)
                peer.send(frame)
                try await peer.waitClosed()
                #expect(try peer.farewell()?.code == .protocolViolation)
                #expect(try peer.farewell()?.reason.hasPrefix(kind) == true)
                #expect(try await bed.soleFailure() == .malformed)
            }
        }

        // MARK: Time

        @Test func aHelloInDribletsIsOverdue() async throws {
            try await TunnelBed.with(self.impatient()) { bed in
                let peer = try await bed.rawPeer()
                try await peer.waitSecured()
                let hello = bed.party().hello(
                    method: .token, tokenID: "0badcafe", nonce: [UInt8](repeating: 1, count: 32), resume: nil)
                // One byte after the other, so slowly that the whole would take many times what is allowed.
                for byte in hello.frame().readableBytesView where !peer.isClosed {
                    peer.send([byte])
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(peer.isClosed)
                #expect(try await bed.soleFailure() == .timeout)
                #expect(bed.observer.failures.entries[0].detail == "not authenticated within 400 ms")
            }
        }

        /// A greeting in driblets meets the same bound, also when the connection then belongs on another loop.
        @Test func aGreetingInDribletsIsOverdue() async throws {
            try await TunnelBed.with(self.impatient()) { bed in
                let socket = try await onThread { try RawSocket.connect(port: bed.serverPort) }
                let end = try await onThread {
                    for byte in [22, 3, 1, 1, 0] + [UInt8](repeating: 0, count: 255) {
                        guard socket.sendAtOnce([byte]) == 1 else { break }
                        usleep(20_000)
                    }
                    return socket.drain().end
                }
                #expect(end == .finished || end == .reset || end == .error(EPIPE))
                #expect([.timeout, .tls].contains(try await bed.soleFailure()))
            }
        }

        @Test func connectionsThatNeverSpeakAreOverdue() async throws {
            try await TunnelBed.with(self.impatient()) { bed in
                let count = 60
                let sockets = try await onThread { try (0..<count).map { _ in try RawSocket.connect(port: bed.serverPort) } }
                let silent = try await bed.rawPeer()
                for socket in sockets { _ = try await onThread { socket.drain() } }
                try await silent.waitClosed()
                for socket in sockets { socket.close() }
                try await bed.noConnectionIsLeft()
                #expect(bed.observer.kinds == [HandshakeFailure](repeating: .timeout, count: count + 1))
                try await self.serverIsWell(bed)
            }
        }

        @Test func connectionsThatEndAtOnce() async throws {
            try await TunnelBed.with { bed in
                for index in 0..<40 {
                    let socket = try await onThread { try RawSocket.connect(port: bed.serverPort) }
                    if index % 2 == 0 { socket.close() } else { socket.reset() }
                }
                try await eventually("each is noted") { bed.observer.failures.count == 40 }
                try await bed.noConnectionIsLeft()
                #expect(bed.observer.kinds == [HandshakeFailure](repeating: .disconnected, count: 40))
            }
        }

        /// Who fails and then does not answer TLS's good-bye keeps its connection for a while, and its place in the gate with it.
        @Test func aPlaceIsKeptUntilTheConnectionIsClosed() async throws {
            try await TunnelBed.with { bed in
                let peer = try await RawPeer.connect(
                    port: bed.proxy.port, offer: RawPeer.Offer(serverName: Placement.hostName(client: "worker-1")),
                    group: bed.clientGroup)
                try await peer.waitSecured()
                _ = try await peer.frame(0)
                // The frame passes; of what the server answers, the first byte is the last that does.
                let frame: [UInt8] = [0, 0, 0, 1, FrameType.data.rawValue, 0, 0, 4, 1, 2, 3, 4]
                bed.proxy.cut(after: frame.count + 22 + 1, .silence)
                peer.send(frame)
                try await eventually("the frame is refused") { bed.observer.kinds == [.malformed] }
                try await eventually("the server's answer is lost") { bed.proxy.isCutDone }
                #expect(bed.options.gate.load.active == 1)
                bed.proxy.cutNow(.reset)
                try await bed.noConnectionIsLeft()
                #expect(bed.observer.kinds == [.malformed])
            }
        }

        // MARK: Crowds

        @Test func whatCannotEvenWaitIsReset() async throws {
            var options = TunnelBed.Options()
            options.gate = HandshakeGate(limit: 2, perSource: 2, waiting: 3)
            try await TunnelBed.with(options) { bed in
                let sockets = try await onThread { try (0..<5).map { _ in try RawSocket.connect(port: bed.serverPort) } }
                try await eventually("two are inside and three wait") {
                    let load = bed.options.gate.load
                    return load.active == 2 && load.waiting == 3
                }
                #expect(try await onThread { try RawSocket.connect(port: bed.serverPort).drain().end } == .reset)
                #expect(bed.observer.kinds == [.overload])
                for socket in sockets { socket.close() }
                try await bed.noConnectionIsLeft()
                #expect(bed.observer.failures.count == 6)
            }
        }

        /// Two thousand half-open handshakes from one address do not keep out a client at another.
        @Test func aFloodFromOneAddressDoesNotKeepOutAnother() async throws {
            try await TunnelBed.with { bed in
                let count = 2_000
                let sockets = try await onThread { try (0..<count).map { _ in try RawSocket.connect(port: bed.serverPort) } }
                try await eventually("they fill their share of the gate") {
                    let load = bed.options.gate.load
                    return load.active == 64 && load.active + load.waiting + bed.observer.failures.count == count
                }
                let door = try await BreakableProxy.start(target: bed.serverPort, group: bed.clientGroup, from: "127.0.0.2")
                _ = try await bed.dial(try bed.dialer(), port: door.port).get()
                #expect(bed.hostEvents.entries == [.began(name: "worker-1")])
                try await door.stop()
                for socket in sockets { socket.reset() }
                try await bed.noConnectionIsLeft()
                #expect(bed.observer.failures.count == count)
                try await self.serverIsWell(bed)
            }
        }
    }
}
