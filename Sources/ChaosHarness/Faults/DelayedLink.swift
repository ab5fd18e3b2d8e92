import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A cable between two network namespaces that holds every packet back for a while, both ways: two TAP devices with a
/// thread in between. (This is for kernels without netem.) No packet overtakes another that goes the same way.
final class DelayedLink: Sendable {
    private let isOver = Atomic<Bool>(false)
    /// In nanoseconds: of what the first end sends, and the second.
    private let firstDelay: Atomic<UInt64>
    private let secondDelay: UInt64

    private struct Waiting {
        var at: UInt64
        var packet: [UInt8]
    }

    /// - Parameter delay: one way.
    init(_ one: (namespace: String, device: String), _ other: (namespace: String, device: String), delay: Duration) throws {
        let first = try Self.tap(one.device, in: one.namespace)
        let second: Int32
        do {
            second = try Self.tap(other.device, in: other.namespace)
        } catch {
            close(first)
            throw error
        }
        self.firstDelay = Atomic(Self.nanoseconds(delay))
        self.secondDelay = Self.nanoseconds(delay)
        Thread.detachNewThread { [self] in
            self.carry([first, second])
            for end in [first, second] { close(end) }
        }
    }

    /// From now on what the first end sends is late by this; what waits already stays as late as it is.
    func setDelay(ofFirst delay: Duration) { self.firstDelay.store(Self.nanoseconds(delay), ordering: .relaxed) }

    private static func nanoseconds(_ delay: Duration) -> UInt64 {
        UInt64(delay.components.seconds) * 1_000_000_000 + UInt64(delay.components.attoseconds / 1_000_000_000)
    }

    func stop() { self.isOver.store(true, ordering: .relaxed) }

    private static let count = Atomic<Int>(0)

    /// Opens a TAP device and moves it into a namespace; whoever holds it open goes on holding it.
    private static func tap(_ name: String, in namespace: String) throws -> Int32 {
        // It is made here, where another lab's of the same name may be on its way too.
        let passing = "gt\(getpid() % 100_000)x\(Self.count.add(1, ordering: .relaxed).newValue % 100_000)"
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

    private func carry(_ ends: [Int32]) {
        var queues: [Deque] = [Deque(), Deque()]
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !self.isOver.load(ordering: .relaxed) {
            let now = DispatchTime.now().uptimeNanoseconds
            for index in 0...1 {
                while let packet = queues[index].next(at: now) { _ = write(ends[1 - index], packet, packet.count) }
            }
            let next = queues.compactMap(\.earliest).min()
            let wait = min(next.map { $0 - min($0, now) } ?? .max, 100_000_000)
            var polls = ends.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            // poll counts in milliseconds; what is left of one is slept in short naps, as packets may arrive meanwhile.
            if wait < 1_000_000 { usleep(UInt32(min(wait / 1_000, 200))) }
            poll(&polls, 2, wait < 1_000_000 ? 0 : Int32(wait / 1_000_000))
            let arrived = DispatchTime.now().uptimeNanoseconds
            let delays = [self.firstDelay.load(ordering: .relaxed), self.secondDelay]
            for index in 0...1 where polls[index].revents & Int16(POLLIN) != 0 {
                while queues[index].count < 20_000 {
                    let count = read(ends[index], &buffer, buffer.count)
                    guard count > 0 else { break }
                    queues[index].append(Array(buffer[..<count]), at: arrived + delays[index])
                }
            }
        }
    }

    /// What waits on one way.
    private struct Deque {
        private var packets: [Waiting] = []
        private var head = 0

        var count: Int { self.packets.count - self.head }
        var earliest: UInt64? { self.head < self.packets.count ? self.packets[self.head].at : nil }

        mutating func append(_ packet: [UInt8], at time: UInt64) {
            // A delay that has become shorter lets nobody overtake.
            self.packets.append(Waiting(at: max(time, self.packets.last?.at ?? 0), packet: packet))
        }

        /// The first, if its time has come.
        mutating func next(at now: UInt64) -> [UInt8]? {
            guard let earliest, earliest <= now else { return nil }
            defer {
                self.packets[self.head].packet = []
                self.head += 1
                if self.head == self.packets.count || self.head > 1_024 {
                    self.packets.removeFirst(self.head)
                    self.head = 0
                }
            }
            return self.packets[self.head].packet
        }
    }
}
