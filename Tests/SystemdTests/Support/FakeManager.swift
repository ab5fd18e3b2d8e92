import Foundation
import Glibc
import Synchronization

/// Listens where systemd would, and keeps what it hears.
final class FakeManager: Sendable {
    struct Message {
        let text: String
        /// The receiver's own copies; closed with the manager.
        let descriptors: [CInt]
    }

    enum Place: CaseIterable {
        case path, abstract
    }

    /// The value for `$NOTIFY_SOCKET`.
    let address: String
    private let descriptor: CInt
    private let messages = Mutex<[Message]>([])
    private let isStopped = Mutex(false)
    private let answersBarriers: Bool
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter answersBarriers: whether a barrier's descriptor is closed at once, as systemd does it.
    init(_ place: Place = .abstract, answersBarriers: Bool = true) throws {
        let name = "gotunnel-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        self.address = place == .path ? "\(NSTemporaryDirectory())/\(name)" : "@\(name)"
        self.answersBarriers = answersBarriers
        self.descriptor = try Descriptors.socket(AF_UNIX, SOCK_DGRAM)
        try self.bind()
        let thread = Thread { [self] in self.receive() }
        thread.start()
    }

    /// All messages so far; barriers too.
    var heard: [Message] { self.messages.withLock { $0 } }
    var texts: [String] { self.heard.map(\.text) }

    func stop() {
        self.isStopped.withLock { $0 = true }
        self.ended.wait()
        close(self.descriptor)
        for message in self.heard { for one in message.descriptors { close(one) } }
        if self.address.hasPrefix("/") { unlink(self.address) }
    }

    private func bind() throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(self.address.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 } else { bytes.append(0) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(self.descriptor, $0, length) }
        }
        guard result == 0 else { throw Failure("bind") }
    }

    private func receive() {
        while !self.isStopped.withLock({ $0 }) {
            var request = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&request, 1, 20) == 1, let message = self.next() else { continue }
            let isBarrier = message.text == "BARRIER=1" && self.answersBarriers
            // Noted before it is answered: who waits for the answer finds it.
            self.messages.withLock { $0.append(isBarrier ? Message(text: message.text, descriptors: []) : message) }
            if isBarrier { for one in message.descriptors { close(one) } }
        }
        self.ended.signal()
    }

    private func next() -> Message? {
        var text = [UInt8](repeating: 0, count: 4096)
        var control = [UInt8](repeating: 0, count: 2048)
        var count = 0
        var length = 0
        text.withUnsafeMutableBytes { text in
            control.withUnsafeMutableBytes { control in
                var part = iovec(iov_base: text.baseAddress, iov_len: text.count)
                withUnsafeMutablePointer(to: &part) { part in
                    var header = msghdr()
                    header.msg_iov = part
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    count = recvmsg(self.descriptor, &header, CInt(MSG_CMSG_CLOEXEC))
                    length = header.msg_controllen
                }
            }
        }
        guard count >= 0 else { return nil }
        return Message(text: String(decoding: text[..<count], as: UTF8.self), descriptors: Self.descriptors(control, length))
    }

    /// SCM_RIGHTS of unix(7): a `cmsghdr` of 16 bytes and then the descriptors; it is the only kind of ancillary data here.
    private static func descriptors(_ control: [UInt8], _ length: Int) -> [CInt] {
        guard length >= 16 else { return [] }
        return control.withUnsafeBytes { memory in
            let size = memory.load(as: Int.self)
            return stride(from: 16, to: size, by: 4).map { memory.load(fromByteOffset: $0, as: CInt.self) }
        }
    }
}
