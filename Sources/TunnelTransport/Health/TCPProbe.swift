import NIOCore
import NIOPosix
import Timing
import TunnelSession

/// The plainest health check: can a connection be made?
package enum TCPProbe {
    /// Nil when `host:port` accepts a connection within `timeout`, otherwise why not, printable.
    package static func check(host: String, port: Int, timeout: Duration, group: any EventLoopGroup) async -> String? {
        do {
            let channel = try await ClientBootstrap(group: group)
                .connectTimeout(.nanoseconds(timeout.wholeNanoseconds))
                .connect(host: host, port: port)
                .get()
            channel.close(promise: nil)
            return nil
        } catch {
            return ConnectFailure(error).reason
        }
    }
}
