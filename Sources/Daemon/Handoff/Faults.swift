#if canImport(Glibc)
import Glibc
#endif

/// What tests break on purpose between two processes; nothing in a release. Chosen by `$GOTUNNEL_FAULT`.
package enum Faults {
    package enum Name: String, Sendable {
        /// The process dies when everything is frozen and nothing is handed over.
        case crashInFreeze = "crash-in-freeze"
        /// The next one dies in the middle of taking over.
        case crashInThaw = "crash-in-thaw"
        /// A byte of the file is another one.
        case damageHandoff = "damage-handoff"
        /// No connection is there.
        case loseSockets = "lose-all-sockets"
        /// The next program reads another format.
        case otherFormat = "other-format"
    }

    package static func isOn(_ name: Name) -> Bool {
        #if FAULTS
        return getenv("GOTUNNEL_FAULT").map { String(cString: $0) == name.rawValue } ?? false
        #else
        return false
        #endif
    }

    package static func meet(_ name: Name) {
        if Self.isOn(name) { kill(getpid(), SIGKILL) }
    }

    static func damage(_ file: HandoffFile) {
        guard Self.isOn(.damageHandoff) else { return }
        var byte: UInt8 = 0
        let middle = lseek(file.descriptor, 0, SEEK_END) / 2
        pread(file.descriptor, &byte, 1, middle)
        byte ^= 0x10
        pwrite(file.descriptor, &byte, 1, middle)
        lseek(file.descriptor, 0, SEEK_SET)
    }
}
