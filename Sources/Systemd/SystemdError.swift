#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What systemd or libsystemd would not do.
package enum SystemdError: Error, Equatable, CustomStringConvertible {
    /// A call of libsystemd failed. `code` is the `errno` value, positive.
    case failed(call: String, code: CInt)
    /// A name of stored descriptors that systemd would not take (sd_notify(3), FDNAME=).
    case unusableName(String)

    package var description: String {
        switch self {
        case .failed(let call, let code):
            let reason = String(cString: strerror(code))
            let advice = Self.advice(code).map { ". \($0)" } ?? ""
            return "\(call) failed: \(reason) (errno \(code))\(advice)"
        case .unusableName(let name):
            return "'\(OneLine.clean(name))' cannot name stored file descriptors: use 1 to 255 printable ASCII characters, no ':'"
        }
    }

    private static func advice(_ code: CInt) -> String? {
        switch code {
        case ENOENT, ECONNREFUSED: "The socket that $NOTIFY_SOCKET names is not there: is it visible in this mount namespace?"
        case ETIMEDOUT: "systemd did not answer in time"
        case ETOOMANYREFS: "More descriptors are on their way than LimitNOFILE= allows: raise it in the unit"
        default: nil
        }
    }
}

/// The result of a call in libsystemd's convention: negative is an `errno`, zero is "nothing to do", positive is done.
///
/// - Returns: whether something was done.
func checked(_ call: String, _ result: CInt) throws(SystemdError) -> Bool {
    guard result >= 0 else { throw .failed(call: call, code: -result) }
    return result > 0
}
