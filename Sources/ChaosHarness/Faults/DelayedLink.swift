import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A cable between two network namespaces that holds every packet back for a while, both ways: two TAP devices with a
/// thread in between. (This is for kernels without netem.)
final class DelayedLink: Sendable {
    private let isOver = Atomic<Bool>(false)

    private struct Waiting {
        var at: UInt64
        var packet: [UInt8]
    }

    /// - Parameter delay: one way.
    init(_ one: (namespace: String, device: String), _ other: (namespace: String, device: String), delay: Duration) throws {
        let ends = [try Self.tap(one.device, in: one.namespace), try Self.tap(other.device, in: other.namespace)]
        let nanoseconds = UInt64(delay.components.seconds) * 1_000_000_000 + UInt64(delay.components.attoseconds / 1_000_000_000)
        Thread.detachNewThread { [self] in
            self.carry(ends, delay: nanoseconds)
            for end in ends { close(end) }
        }
    }

    func stop() { self.isOver.store(true, ordering: .relaxed) }

    /// Opens a TAP device and moves it into a namespace; whoever holds it open goes on holding it.
    private static func tap(_ name: String, in namespace: String) throws -> Int32 {
        let passing = "gt\(getpid() % 100_000)-\(name)"
        let device = try self.openTap(passing)
        do {
            try Shell.run(["ip", "link", "set", passing, "netns", namespace])
            try Shell.run(["ip", "-n", namespace, "link", "set", passing, "name", name])
        } catch {
            close(device)
            throw error
        }
        return device
    }

    private static func openTap(_ name: String) throws(StageError) -> Int32 {
        let device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard device >= 0 else { throw StageError("/dev/net/tun cannot be opened: \(String(cString: strerror(errno)))") }
        // struct ifreq of linux/if.h: the name in 16 bytes, then the flags IFF_TAP | IFF_NO_PI.
        var request = [UInt8](repeating: 0, count: 40)
        for (index, byte) in name.utf8.prefix(15).enumerated() { request[index] = byte }
        request[16] = 0x02
        request[17] = 0x10
        let setInterface: UInt = 0x4004_54ca
        guard ioctl(device, setInterface, &request) == 0 else {
            let reason = String(cString: strerror(errno))
            close(device)
            throw StageError("no TAP device \(name): \(reason)")
        }
        return device
    }

    private func carry(_ ends: [Int32], delay: UInt64) {
        var queues: [[Waiting]] = [[], []]
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !self.isOver.load(ordering: .relaxed) {
            let now = DispatchTime.now().uptimeNanoseconds
            for index in 0...1 {
                while let first = queues[index].first, first.at <= now {
                    _ = write(ends[1 - index], first.packet, first.packet.count)
                    queues[index].removeFirst()
                }
            }
            let next = queues.compactMap(\.first?.at).min()
            let wait = next.map { Int32(clamping: ($0 - min($0, now)) / 1_000_000) } ?? 100
            var polls = ends.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            poll(&polls, 2, min(wait, 100))
            let arrived = DispatchTime.now().uptimeNanoseconds
            for index in 0...1 where polls[index].revents & Int16(POLLIN) != 0 {
                while queues[index].count < 20_000 {
                    let count = read(ends[index], &buffer, buffer.count)
                    guard count > 0 else { break }
                    queues[index].append(Waiting(at: arrived + delay, packet: Array(buffer[..<count])))
                }
            }
        }
    }
}
