import CMemory
import NIOCore

#if canImport(Glibc)
import Glibc
#endif

/// The memory file in which one process leaves to the next what it knows (memfd_create(2)). It has no name in any directory and
/// ends with its last descriptor.
package struct HandoffFile: Sendable {
    package let descriptor: CInt

    private static let piece = 1 << 20

    /// One that another process has written.
    package init(descriptor: CInt) { self.descriptor = descriptor }

    /// A new one, close-on-exec.
    package static func make() throws -> HandoffFile {
        let descriptor = memfd_create("gotunnel-handoff", 1)
        guard descriptor >= 0 else { throw SystemCallFailure("memfd_create", errno) }
        return HandoffFile(descriptor: descriptor)
    }

    package func write(_ bytes: ByteBuffer) throws {
        var rest = bytes
        while rest.readableBytes > 0 {
            let count = rest.withUnsafeReadableBytes { Glibc.write(self.descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemCallFailure("writing the handoff", errno) }
            rest.moveReaderIndex(forwardBy: count)
        }
    }

    package func rewind() throws {
        guard lseek(self.descriptor, 0, SEEK_SET) == 0 else { throw SystemCallFailure("lseek", errno) }
    }

    /// The next piece, nil at the end.
    package func read() throws -> ByteBuffer? {
        var buffer = ByteBufferAllocator().buffer(capacity: Self.piece)
        let count = buffer.withUnsafeMutableWritableBytes { Glibc.read(self.descriptor, $0.baseAddress, Self.piece) }
        guard count >= 0 else { throw SystemCallFailure("reading the handoff", errno) }
        buffer.moveWriterIndex(forwardBy: count)
        return count == 0 ? nil : buffer
    }

    package func close() { Glibc.close(self.descriptor) }
}

/// A call of the system that failed.
package struct SystemCallFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ what: String, _ code: CInt) {
        self.description = "\(what): \(String(cString: strerror(code)))"
    }
}
