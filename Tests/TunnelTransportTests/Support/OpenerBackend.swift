import Foundation

/// A program behind one server: it reads to the end, answers with the same, and keeps what it was told.
final class OpenerBackend: Sendable {
    let port: Int
    /// What was said on connections that came to their end in good order.
    let texts: Log<String>

    init(at bed: TunnelBed) throws {
        let texts = Log<String>()
        let backend = try Backend(keptBy: bed) { socket in
            var bytes: [UInt8] = []
            while true {
                let more = try socket.receive()
                if more.isEmpty { break }
                bytes += more
            }
            if !bytes.isEmpty { texts.add(String(decoding: bytes, as: UTF8.self)) }
            try socket.send(bytes)
            socket.finish()
            _ = socket.drain()
        }
        self.texts = texts
        self.port = backend.port
        bed.service(OpenerBed.service, backend)
    }

    /// Waits until no connection to it is left.
    func isLeftAlone() async throws {
        try await eventually("no connection to the backend is left") { RawSocket.connections(touching: [self.port]) == 0 }
    }
}

extension OpenerBed {
    /// A backend at each server.
    func backends() throws -> [OpenerBackend] { try self.beds.map { try OpenerBackend(at: $0) } }
}

extension RawSocket {
    /// Says `text` and no more; the whole answer.
    func ask(_ text: String) throws -> String {
        try self.send(text)
        self.finish()
        return try self.answer()
    }

    /// All that comes until the end.
    func answer() throws -> String {
        var bytes: [UInt8] = []
        while true {
            let more = try self.receive()
            if more.isEmpty { return String(decoding: bytes, as: UTF8.self) }
            bytes += more
        }
    }
}
