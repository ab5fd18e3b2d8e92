import Crypto
import Foundation

/// One direction of a bulk transfer as one of its ends counted it.
struct BulkCount: Equatable, Sendable {
    var bytes = 0
    /// SHA-256, hexadecimal.
    var digest = ""
}

/// Sends and receives counted, hashed bytes on blocking sockets. Blocks: for `onThread`.
enum Bulk {
    static let chunk = 65_536

    /// Sends `count` bytes made from `seed`, then FIN. Every chunk begins with its number, so that chunks which are lost, doubled
    /// or exchanged change the digest.
    ///
    /// - Parameter bytesPerSecond: holds the sender to this rate; nil: as fast as the socket takes them.
    static func send(_ socket: PlainSocket, count: Int, seed: UInt64, bytesPerSecond: Double? = nil) throws -> BulkCount {
        var block = TestBytes(seed: seed).first(Self.chunk)
        var hash = SHA256()
        var sent = 0
        var number: UInt64 = 0
        let start = ContinuousClock.now
        while sent < count {
            let length = min(Self.chunk, count - sent)
            try block.withUnsafeMutableBytes { bytes in
                bytes.storeBytes(of: number, as: UInt64.self)
                let part = UnsafeRawBufferPointer(rebasing: bytes[..<length])
                hash.update(bufferPointer: part)
                try socket.write(part)
            }
            sent += length
            number += 1
            if let bytesPerSecond {
                let due = Double(sent) / bytesPerSecond
                let early = due - (ContinuousClock.now - start).seconds
                if early > 0 { Thread.sleep(forTimeInterval: early) }
            }
        }
        socket.finishWriting()
        return BulkCount(bytes: sent, digest: hash.finalize().hexText)
    }

    /// Receives up to the FIN. A reset is an error: the stream was lost.
    static func receive(_ socket: PlainSocket) throws -> BulkCount {
        var buffer = [UInt8](repeating: 0, count: 4 * Self.chunk)
        var hash = SHA256()
        var received = 0
        while true {
            let arrival = try buffer.withUnsafeMutableBytes { bytes in
                let arrival = try socket.read(into: bytes)
                if case .bytes(let count) = arrival {
                    hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                }
                return arrival
            }
            switch arrival {
            case .bytes(let count): received += count
            case .end: return BulkCount(bytes: received, digest: hash.finalize().hexText)
            case .reset: throw SocketFailure("the stream was reset after \(received) bytes", 0)
            }
        }
    }

    /// Both directions of both ends at once; the counts of each end as (sent, received).
    static func exchange(
        _ near: PlainSocket, _ far: PlainSocket, count: Int, seed: UInt64
    ) async throws -> (near: (sent: BulkCount, received: BulkCount), far: (sent: BulkCount, received: BulkCount)) {
        async let nearSent = onThread { try Bulk.send(near, count: count, seed: seed) }
        async let farSent = onThread { try Bulk.send(far, count: count, seed: seed + 1) }
        async let nearReceived = onThread { try Bulk.receive(near) }
        async let farReceived = onThread { try Bulk.receive(far) }
        return ((try await nearSent, try await nearReceived), (try await farSent, try await farReceived))
    }
}

extension TestBytes {
    fileprivate func first(_ count: Int) -> [UInt8] {
        var copy = self
        return copy.next(count)
    }
}

extension Duration {
    var seconds: Double { Double(self.components.seconds) + Double(self.components.attoseconds) / 1e18 }
}
