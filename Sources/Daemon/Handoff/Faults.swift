import TunnelSession

#if canImport(Glibc)
import Glibc
#endif

/// What tests break on purpose; nothing in a release. Chosen by `$GOTUNNEL_FAULT`: names with commas between.
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
        /// A second session is never asked for a stream that the first one does not accept in time.
        case hedgingOff = "hedging-off"
        /// A resumed session leaves out a byte.
        case resumeOffByOne = "resume-off-by-one"
        /// A resumed session sends a byte twice.
        case resumeRepeats = "resume-repeats"
        /// One vote is enough to lead.
        case twoLeaders = "two-leaders"
        /// A link that is silent is never taken for dead.
        case heartbeatOff = "heartbeat-off"
        /// The service manager is told of life whatever hangs.
        case watchdogAlwaysFed = "watchdog-always-fed"
    }

    package static func isOn(_ name: Name) -> Bool {
        #if FAULTS
        guard let value = getenv("GOTUNNEL_FAULT") else { return false }
        return String(cString: value).split(separator: ",").contains { $0 == name.rawValue }
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

extension Faults {
    /// Breaks what sessions do, where that was chosen.
    package static func apply(to configuration: inout SessionConfiguration) {
        #if FAULTS
        if Self.isOn(.heartbeatOff) { configuration.heartbeatTimeout = .seconds(86_400) }
        if Self.isOn(.resumeOffByOne) { configuration.resumeError = 1 }
        if Self.isOn(.resumeRepeats) { configuration.resumeError = -1 }
        #endif
    }
}
