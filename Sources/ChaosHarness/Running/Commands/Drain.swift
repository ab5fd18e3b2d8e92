#if canImport(Glibc)
import Glibc
#endif

/// What a program writes into a pipe, up to a bound; what comes beyond it is thrown away, so that the program can go on.
final class Drain {
    private(set) var bytes: [UInt8] = []
    private let most: Int
    private var reader: CInt
    private(set) var writer: CInt

    /// Nil: there is no pipe to be had; `errno` says why.
    init?(most: Int) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        self.most = most
        // Another program that is started in between closes what it was not given by itself.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (self.reader, self.writer) = (ends[0], ends[1])
        _ = fcntl(self.reader, F_SETFL, O_NONBLOCK)
    }

    /// To be waited for; -1 once there is nothing more to come.
    var poll: pollfd { pollfd(fd: self.reader, events: Int16(POLLIN), revents: 0) }

    /// Takes what is there, without waiting.
    func take() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while self.reader >= 0 {
            let count = read(self.reader, &buffer, buffer.count)
            if count > 0 {
                self.bytes += buffer[..<min(count, self.most - self.bytes.count)]
            } else if count == 0 {
                self.close()
            } else if errno != EINTR {
                return
            }
        }
    }

    func closeWriter() {
        if self.writer >= 0 { _ = Glibc.close(self.writer) }
        self.writer = -1
    }

    func close() {
        self.closeWriter()
        if self.reader >= 0 { _ = Glibc.close(self.reader) }
        self.reader = -1
    }
}
