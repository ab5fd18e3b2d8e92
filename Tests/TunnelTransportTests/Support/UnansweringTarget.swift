import NIOConcurrencyHelpers

#if canImport(Glibc)
import Glibc
#endif

/// A listener whose queue is full, so that the kernel drops what else wants to connect: dialling it takes as long as the
/// dialler's patience, or until the queue is emptied or the listener goes away.
final class UnansweringTarget: Sendable {
    let port: Int
    private let listener: RawSocket
    private let fillers: NIOLockedValueBox<[RawSocket]>

    init() throws {
        let listener = try RawSocket.listen(backlog: 0)
        self.listener = listener
        self.port = listener.port
        // Linux lets backlog + 1 connections wait.
        self.fillers = NIOLockedValueBox([try RawSocket.connect(port: listener.port)])
    }

    /// Takes what fills the queue: the next attempt of a waiting dialler gets in, and is returned.
    func answer() throws -> RawSocket {
        _ = try self.listener.accept()
        return try self.listener.accept()
    }

    /// The program that listened is gone.
    func vanish() {
        self.listener.close()
        self.fillers.withLockedValue { $0 = [] }
    }
}
