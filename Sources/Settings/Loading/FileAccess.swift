#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Why a file could not be read, in words that end a sentence.
package enum FileTrouble: Error, Sendable, Equatable, CustomStringConvertible {
    case missing
    case isDirectory
    /// A pipe, socket or device.
    case notAFile
    case permissionDenied
    /// More bytes than the limit named.
    case tooLarge(limit: Int)
    /// Another error of the system.
    case other(errno: Int32)

    /// A clause such as "permission denied".
    package var description: String {
        switch self {
        case .missing: "there is no such file"
        case .isDirectory: "it is a directory"
        case .notAFile: "it is not a regular file"
        case .permissionDenied: "permission denied"
        case .tooLarge(let limit): "it is larger than \(ByteSize.format(limit))"
        case .other(let number): "error \(number) of the system"
        }
    }

    /// What to do about it.
    var mend: String {
        switch self {
        case .missing: "create it or mend the path"
        case .isDirectory: "name the file inside it"
        case .notAFile: "name a regular file"
        case .permissionDenied: "run as its owner, or change its owner with chown"
        case .tooLarge: "check that the path is right"
        case .other: "check the file and its disk"
        }
    }
}

/// What a file held and who may read it.
package struct FileContents: Sendable, Equatable {
    /// The whole file.
    package let bytes: [UInt8]
    /// Permission bits, such as `0o600`.
    package let mode: UInt32

    /// Contents as a disk, or a test, gives them.
    package init(bytes: [UInt8], mode: UInt32) {
        self.bytes = bytes
        self.mode = mode
    }

    /// Whether the group or others may read it.
    var isReadableByOthers: Bool { mode & 0o044 != 0 }
}

/// Where configuration and secret files are read from: the machine, or a table in tests.
package protocol FileAccess: Sendable {
    /// The contents of a regular file of at most `limit` bytes.
    func read(_ path: String, limit: Int) throws(FileTrouble) -> FileContents
    /// Whether something is there, readable or not.
    func exists(_ path: String) -> Bool
}

/// The files of this machine.
package struct SystemFiles: FileAccess {
    /// There is nothing to set.
    package init() {}

    /// Whether something is there; true as well when a directory on the way may not be entered.
    package func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 || errno != ENOENT && errno != ENOTDIR
    }

    /// The contents of a regular file; never waits, whatever the path names.
    package func read(_ path: String, limit: Int) throws(FileTrouble) -> FileContents {
        // Non-blocking: opening a pipe without a writer would wait for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.trouble(errno) }
        defer { _ = close(descriptor) }
        // The status is the open file's, so it cannot be swapped for another between the check and the read.
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.trouble(errno) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw .isDirectory
        default: throw .notAFile
        }
        let bytes = try Self.readAll(descriptor, limit: limit)
        return FileContents(bytes: bytes, mode: UInt32(status.st_mode & 0o7777))
    }

    private static func readAll(_ descriptor: Int32, limit: Int) throws(FileTrouble) -> [UInt8] {
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafeRead(descriptor, &chunk)
            if count == 0 { return result }
            if count < 0 {
                if errno == EINTR { continue }
                throw trouble(errno)
            }
            guard result.count + count <= limit else { throw .tooLarge(limit: limit) }
            result.append(contentsOf: chunk.prefix(count))
        }
    }

    /// The C function, apart from the method of the same name.
    private static func unsafeRead(_ descriptor: Int32, _ chunk: inout [UInt8]) -> Int {
        #if canImport(Glibc)
        Glibc.read(descriptor, &chunk, chunk.count)
        #elseif canImport(Musl)
        Musl.read(descriptor, &chunk, chunk.count)
        #else
        Darwin.read(descriptor, &chunk, chunk.count)
        #endif
    }

    private static func trouble(_ number: Int32) -> FileTrouble {
        switch number {
        case ENOENT, ENOTDIR: .missing
        case EACCES, EPERM: .permissionDenied
        case EISDIR: .isDirectory
        case ENXIO, ENODEV: .notAFile
        default: .other(errno: number)
        }
    }
}
