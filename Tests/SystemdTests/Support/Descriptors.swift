import Glibc

struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ call: String) { self.description = "\(call): \(String(cString: strerror(errno)))" }
}

/// Device and inode: the same for two descriptors of one open file.
struct FileID: Equatable {
    let device: UInt
    let inode: UInt

    init(_ descriptor: CInt) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Failure("fstat") }
        self.device = status.st_dev
        self.inode = status.st_ino
    }
}

enum Descriptors {
    /// A regular file without a name.
    static func file() throws -> CInt {
        var template = Array("/tmp/gotunnel-test-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw Failure("mkstemp") }
        unlink(template)
        return descriptor
    }

    static func pipe() throws -> (read: CInt, write: CInt) {
        var ends: [CInt] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw Failure("pipe") }
        return (ends[0], ends[1])
    }

    static func socket(_ family: CInt, _ type: __socket_type) throws -> CInt {
        let descriptor = Glibc.socket(family, CInt(type.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("socket") }
        return descriptor
    }

    /// Both ends of a Unix stream.
    static func pair() throws -> (CInt, CInt) {
        var ends: [CInt] = [0, 0]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0 else { throw Failure("socketpair") }
        return (ends[0], ends[1])
    }

    /// A listener on a free port of 127.0.0.1.
    static func tcpListener() throws -> CInt {
        let descriptor = try self.socket(AF_INET, SOCK_STREAM)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(descriptor, 1) == 0 else { throw Failure("bind") }
        return descriptor
    }

    static func isCloseOnExec(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0 }
}
