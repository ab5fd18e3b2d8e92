import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A folder that is a file system of its own in memory, of so many bytes, which can be filled up. Needs root.
package final class SmallDisk: Sendable {
    package let path: String
    private let leftovers: Leftovers?
    private let thing: Leftover
    private let filler: String
    private let state = Mutex(State())

    private struct State {
        var isGone = false
        /// How often it was filled and not freed.
        var fills = 0
        var isToppedUp = false
    }

    private static let count = Atomic<Int>(0)

    /// - Parameters:
    ///   - path: made if need be; what is in it is hidden as long as the disk is there. Its owner and rights are the disk's.
    ///   - bytes: rounded up to pages of memory.
    package init(at path: String, bytes: Int, leftovers: Leftovers? = nil) throws {
        guard bytes >= 65_536 else { throw StageError("a disk of \(bytes) bytes is too small: 65536 at least") }
        guard geteuid() == 0 else { throw StageError("a small disk at \(path) needs root", isOfMachine: true) }
        let source = "gotunnel-chaos-\(getpid())-\(Self.count.add(1, ordering: .relaxed).newValue)"
        // As the kernel names it.
        let place = URL(filePath: path).standardizedFileURL.resolvingSymlinksInPath().path(percentEncoded: false)
        self.path = place.count > 1 && place.hasSuffix("/") ? String(place.dropLast()) : place
        self.thing = .mount(self.path, source: source)
        self.leftovers = leftovers
        self.filler = "\(self.path)/filler"
        try FileManager.default.createDirectory(
            atPath: self.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        var facts = stat()
        guard stat(self.path, &facts) == 0 else { throw StageError("\(path): \(String(cString: strerror(errno)))") }
        let rights = String(facts.st_mode & 0o7777, radix: 8)
        try leftovers?.note(self.thing)
        try Shell.run([
            "mount", "-t", "tmpfs", "-o", "size=\(bytes),mode=\(rights),uid=\(facts.st_uid),gid=\(facts.st_gid)", source,
            self.path,
        ])
    }

    /// Fills it to the last page of memory, and again whatever others free there, until `free` was called as often. (A file
    /// whose last page is not full may still fill that.)
    package func fill() throws {
        try self.state.withLock { state in
            guard !state.isGone else { throw StageError("\(self.path) is no disk any more") }
            try self.topUp()
            state.fills += 1
            guard !state.isToppedUp else { return }
            state.isToppedUp = true
            Thread.detachNewThread { [self] in self.keepFull() }
        }
    }

    private func keepFull() {
        while true {
            usleep(50_000)
            let goesOn = self.state.withLock { state in
                if state.fills > 0, !state.isGone { try? self.topUp() } else { state.isToppedUp = false }
                return state.isToppedUp
            }
            if !goesOn { return }
        }
    }

    private func topUp() throws {
        let file = open(self.filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            // Full to the last entry.
            if errno == ENOSPC { return }
            throw StageError("\(self.filler) cannot be written: \(String(cString: strerror(errno)))")
        }
        defer { close(file) }
        for size in [65_536, 4_096, 1] {
            let block = [UInt8](repeating: 0, count: size)
            while write(file, block, size) > 0 {}
            guard errno == ENOSPC else { throw StageError("\(self.filler): \(String(cString: strerror(errno)))") }
        }
    }

    /// Gives the room back that `fill` took.
    package func free() {
        self.state.withLock { state in
            state.fills = max(0, state.fills - 1)
            if state.fills == 0, !state.isGone { unlink(self.filler) }
        }
    }

    /// Removes all that is on it, as if it were a new one; one that is to be full is full again.
    package func empty() {
        self.state.withLock { state in
            guard !state.isGone else { return }
            for name in (try? FileManager.default.contentsOfDirectory(atPath: self.path)) ?? [] {
                try? FileManager.default.removeItem(atPath: "\(self.path)/\(name)")
            }
            if state.fills > 0 { try? self.topUp() }
        }
    }

    /// Unmounts it, with all that is on it; what has a file open there keeps that.
    package func remove() {
        self.state.withLock { state in
            guard !state.isGone else { return }
            state.isGone = true
            if LeftoverSweep.remove([self.thing]) { self.leftovers?.forget(self.thing) }
        }
    }
}
