import Foundation
import Synchronization

/// A program behind the tunnel: listens on a free port and runs `serve` on a thread for each connection.
final class Backend: Sendable {
    let port: Int
    private let listener: RawSocket

    /// - Parameter bed: keeps the backend for as long as it stands itself.
    convenience init(keptBy bed: TunnelBed, _ serve: @escaping @Sendable (RawSocket) throws -> Void) throws {
        try self.init(serve)
        bed.keep(self)
    }

    init(_ serve: @escaping @Sendable (RawSocket) throws -> Void) throws {
        let listener = try RawSocket.listen()
        self.listener = listener
        self.port = listener.port
        let thread = Thread {
            while true {
                do {
                    let socket = try listener.accept()
                    let worker = Thread {
                        // What goes wrong shows on the other end.
                        try? serve(socket)
                        socket.close()
                    }
                    worker.stackSize = 512 << 10
                    worker.start()
                } catch let error as SocketError where error.code == EAGAIN {
                    continue
                } catch {
                    return listener.close()
                }
            }
        }
        thread.start()
    }

    deinit { self.stop() }

    func stop() { self.listener.stopListening() }

    /// Sends back what it gets, then FIN for FIN.
    static func echo(keptBy bed: TunnelBed) throws -> Backend {
        try Backend(keptBy: bed) { socket in
            while true {
                let bytes = try socket.receive()
                if bytes.isEmpty { break }
                try socket.send(bytes)
            }
            socket.finish()
            // Closed with bytes unread it would be an RST; the other end closes first, or the wait ends.
            _ = socket.drain()
        }
    }

    /// Sends `count` bytes of the pattern, then FIN.
    static func source(_ pattern: Pattern, count: Int, keptBy bed: TunnelBed) throws -> Backend {
        try Backend(keptBy: bed) { socket in
            try socket.send(pattern, count: count)
            socket.finish()
            _ = socket.drain()
        }
    }

    /// Takes the pattern and adds what it made of it to `log`; answers with FIN.
    static func sink(_ pattern: Pattern, _ log: Log<Received>, keptBy bed: TunnelBed) throws -> Backend {
        try Backend(keptBy: bed) { socket in
            log.add(socket.receive(pattern))
            socket.finish()
        }
    }
}
