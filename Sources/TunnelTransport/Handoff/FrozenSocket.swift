import NIOConcurrencyHelpers
import NIOCore

#if canImport(Glibc)
import Glibc
#endif

/// A stream's local connection between two processes: which socket it is, and what the first had not passed on yet.
package struct FrozenSocket: Sendable {
    /// Open in this process, and the caller's to close; close-on-exec.
    package var descriptor: CInt
    /// By which the next process knows it again, whatever its number is there (SO_COOKIE, socket(7)).
    package var cookie: UInt64
    /// Bytes for the local program that the kernel has not taken.
    package var unsent: ByteBuffer
    /// Bytes from the local program that no session has taken.
    package var unread: ByteBuffer
    /// Bytes that the kernel has taken and the session was not told of. Not handed over: the session is told.
    package var untold = 0
    /// The local program has finished sending.
    package var sawEnd: Bool
    /// The local program was told that no more comes.
    package var isOutputClosed: Bool
    /// It is to be told so after the unsent bytes.
    package var finishWhenDrained: Bool
    package var bytesRead: UInt64
    package var bytesWritten: UInt64
    /// For one end of a relay inside this process: both have the same number, and nobody else. 0: none.
    package var pair: UInt64 = 0
    /// The other end of that relay is gone, and not in an orderly way.
    package var isPairReset = false
    /// Keeps the number of the pair from being given to another.
    var mark: ResetMark?
}

/// Descriptors of sockets, and how they are known again.
package enum SocketCookie {
    /// The cookie of an open socket, nil if it is none. Unique on this machine until it restarts.
    package static func of(_ descriptor: CInt) -> UInt64? {
        var cookie: UInt64 = 0
        var size = socklen_t(MemoryLayout<UInt64>.size)
        // SO_COOKIE, which the C library's module does not show.
        guard getsockopt(descriptor, SOL_SOCKET, 57, &cookie, &size) == 0 else { return nil }
        return cookie
    }

    /// A second descriptor of the same socket, close-on-exec; nil if there is none left.
    static func duplicate(_ descriptor: CInt) -> CInt? {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        return copy >= 0 ? copy : nil
    }
}

/// The two ends of relays that were taken over, by the number of the pair: they share a mark again. Ends may live on different
/// event loops.
package final class SharedPairs: Sendable {
    private let marks = NIOLockedValueBox<[UInt64: ResetMark]>([:])

    package init() {}

    func mark(of socket: FrozenSocket) -> ResetMark? {
        guard socket.pair != 0 else { return nil }
        return self.marks.withLockedValue { marks in
            let mark = marks[socket.pair] ?? ResetMark()
            if socket.isPairReset { mark.raise() }
            marks[socket.pair] = mark
            return mark
        }
    }
}
