import ChaosCore
import Foundation
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Writes observations to a file, one JSON object a line, on a thread of its own: the traffic never waits for a disk.
package final class Recorder: Sendable {
    /// How long an observation may wait to be written, and how many may.
    private static let delay = 200
    private static let mostWaiting = 100_000

    private struct Waiting: Sendable {
        var observations: [Observation] = []
        var dropped = 0
    }

    private let who: String
    private let descriptor: CInt
    private let waiting = Mutex(Waiting())
    private let order = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)

    /// Appends to a file, which is made if need be.
    package init(path: String, who: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw TrafficTrouble("\(path) cannot be written: \(String(cString: strerror(errno))); choose another --output")
        }
        self.who = who
        self.descriptor = descriptor
        Thread.detachNewThread { [self] in
            while self.order.wait(timeout: .now() + .milliseconds(Self.delay)) == .timedOut { self.flush() }
            self.flush()
            close(self.descriptor)
            self.done.signal()
        }
    }

    package func note(_ observation: Observation) {
        self.waiting.withLock { waiting in
            if waiting.observations.count < Self.mostWaiting {
                waiting.observations.append(observation)
            } else {
                waiting.dropped += 1
            }
        }
    }

    /// Writes what waits and closes the file; to be called once.
    package func finish() {
        self.order.signal()
        self.done.wait()
    }

    private func flush() {
        let (observations, dropped) = self.waiting.withLock { waiting in
            defer { waiting = Waiting() }
            return (waiting.observations, waiting.dropped)
        }
        var bytes = Data()
        let encoder = JSONEncoder()
        for observation in observations {
            guard let line = try? encoder.encode(observation) else { continue }
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
        }
        if dropped > 0 {
            // No silent gap in a record: whoever reads it must know that it says too little.
            let note = "{\"dropped\":\(dropped),\"who\":\"\(self.who)\"}\n"
            bytes += Data(note.utf8)
        }
        self.write(bytes)
    }

    private func write(_ bytes: Data) {
        bytes.withUnsafeBytes { (buffer: UnsafeRawBufferPointer) in
            var offset = 0
            while offset < buffer.count {
                let count = Glibc.write(self.descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                offset += count
            }
        }
    }
}

/// What keeps traffic from starting: one line, with how to mend it.
package struct TrafficTrouble: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
