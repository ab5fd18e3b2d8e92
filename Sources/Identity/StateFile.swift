import Glibc

/// Small files that hold secrets and identities: bounded reads that refuse what others may read, writes that are all or nothing.
package struct StateFile: Sendable {
    package let path: String
    package let bytes: [UInt8]

    /// The contents, with U+FFFD for what is not UTF-8.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The largest file read, in bytes, unless the caller says otherwise.
    package static let maximumSize = 256 * 1024

    /// Who may read a file.
    package enum Secrecy: Sendable, Equatable {
        /// Anybody: a certificate.
        case open
        /// The owner alone, unless the file lies in `exempt`: systemd guards `$CREDENTIALS_DIRECTORY` by other means.
        case secret(exempt: String? = nil)
    }

    /// The file at `path`, or `nil` if there is none. Refuses what is no regular file, what is too large and what is too open.
    /// - Parameter maximumSize: in bytes; a larger file is refused.
    package static func read(
        _ path: String, as secrecy: Secrecy = .secret(), maximumSize: Int = StateFile.maximumSize
    ) throws(IdentityProblem) -> StateFile? {
        // O_NONBLOCK: a FIFO in place of the file must not hang the start.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .system(path, "cannot be opened", mend: "let this user read it")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(path, "cannot be examined", mend: "check the file system") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw IdentityProblem(.damaged, at: path, "is not a regular file", mend: "put a file there, or remove it")
        }
        if case .secret(let exempt) = secrecy, status.st_mode & 0o077 != 0, !isInside(exempt, path) {
            throw IdentityProblem(
                .tooOpen, at: path, "holds a secret but its mode is \(octal(status.st_mode & 0o7777)), so others may read it",
                mend: "chmod 600 it, and replace the secret if others may have read it")
        }
        return StateFile(path: path, bytes: try contents(of: descriptor, path: path, maximumSize: maximumSize))
    }

    /// Replaces or makes the file at `path` in one step: after a crash it holds either the old bytes or the new ones.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(IdentityProblem) {
        let directory = parent(of: path)
        // A name of its own for each attempt, so that what a crash left behind, or another process makes, is never in the way.
        let temporary = "\(path).new-\(String(UInt64.random(in: .min ... .max), radix: 16))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .system(path, "cannot be made", mend: "let this user write to \(directory)")
        }
        let isComplete = writeAll(bytes, to: descriptor) && fchmod(descriptor, mode) == 0 && fsync(descriptor) == 0
        let isInPlace = isComplete && rename(temporary, path) == 0
        let code = errno
        close(descriptor)
        guard isInPlace else {
            unlink(temporary)
            throw .system(path, "cannot be written", code: code, mend: "make room, and let this user write to \(directory)")
        }
        try syncDirectory(directory)
    }

    /// Makes the directory, and those above it, with mode 0700 where they do not exist.
    package static func makeDirectory(_ path: String) throws(IdentityProblem) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        let above = parent(of: path)
        if errno == ENOENT, above != path {
            try makeDirectory(above)
            if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        }
        throw .system(path, "cannot be made", mend: "make this directory with mode 0700 for this user")
    }

    /// Whether anything is at `path`, even a dangling link.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    private static func contents(of descriptor: Int32, path: String, maximumSize: Int) throws(IdentityProblem) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(path, "cannot be read", mend: "check the file system") }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= maximumSize else {
                throw IdentityProblem(
                    .damaged, at: path, "is larger than \(maximumSize) bytes", mend: "is this the right file?")
            }
        }
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return false }
            written += count
        }
        return true
    }

    private static func syncDirectory(_ path: String) throws(IdentityProblem) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(path, "cannot be opened", mend: "let this user read it") }
        defer { close(descriptor) }
        // Some file systems cannot fsync a directory and say EINVAL; there the rename is as durable as it gets.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw .system(path, "cannot be synchronised", mend: "check the disk")
        }
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func isInside(_ directory: String?, _ path: String) -> Bool {
        guard let directory, directory.hasPrefix("/") else { return false }
        let base = directory.hasSuffix("/") ? directory : directory + "/"
        return path.hasPrefix(base) && !path.split(separator: "/").contains("..")
    }

    private static func octal(_ mode: mode_t) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}

extension IdentityProblem {
    /// A failed system call; `code` is its `errno`.
    fileprivate static func system(_ path: String, _ problem: String, code: Int32 = errno, mend: String) -> IdentityProblem {
        IdentityProblem(.system, at: path, "\(problem) (\(String(cString: strerror(code))))", mend: mend)
    }
}
