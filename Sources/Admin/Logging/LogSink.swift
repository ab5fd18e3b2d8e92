import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where finished lines go.
package protocol LogSink: Sendable {
    /// Takes one line with its line feed, at most ``LogLine/limit`` bytes. Must not fail and must not wait long: it may be called
    /// on an event loop.
    func write(_ line: [UInt8])
}

/// Writes each line with one `write(2)` to a file descriptor, standard error as a rule.
///
/// A reader that stops (a full pipe, a stopped terminal) must not stop the tunnel. So a line is written only when `poll` says
/// that the descriptor takes it; the first line that finds it full waits up to 20 ms, the following ones not at all, and how many
/// were dropped is said in a line of its own as soon as it takes lines again.
package final class DescriptorSink: LogSink {
    private struct State {
        var dropped = 0
    }

    private let descriptor: CInt
    private let patience: CInt
    private let state = Mutex(State())

    /// - Parameters:
    ///   - descriptor: stays the caller's; standard error by default.
    ///   - patience: how long the first line waits for room, in milliseconds.
    package init(descriptor: CInt = STDERR_FILENO, patience: CInt = 20) {
        self.descriptor = descriptor
        self.patience = patience
    }

    package func write(_ line: [UInt8]) {
        state.withLock { state in
            guard hasRoom(within: state.dropped == 0 ? patience : 0) else {
                state.dropped += 1
                return
            }
            if state.dropped > 0 {
                writeAll(Array("log lines dropped because nobody read them: \(state.dropped)\n".utf8))
                state.dropped = 0
                guard hasRoom(within: 0) else {
                    state.dropped = 1
                    return
                }
            }
            writeAll(line)
        }
    }

    private func hasRoom(within milliseconds: CInt) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&request, 1, milliseconds) == 1 && request.revents & Int16(POLLOUT) != 0
    }

    private func writeAll(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            #if canImport(Glibc)
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            #else
            let count = rest.withUnsafeBytes { Musl.write(descriptor, $0.baseAddress, $0.count) }
            #endif
            if count < 0 {
                if errno == EINTR { continue }
                return
            }
            rest = rest.dropFirst(count)
        }
    }
}
