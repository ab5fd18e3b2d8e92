import Logging
import ServiceLifecycle
import UnixSignals

/// SIGHUP reads the configuration again.
struct ReloadOnHangUp: Service {
    let daemon: any DaemonService
    let supervisor: Supervisor
    let logger: Logger

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown()
        for await _ in signals {
            self.supervisor.reloading()
            await self.reload()
            self.supervisor.ready(await self.daemon.statusLine())
        }
    }

    private func reload() async {
        do {
            let lines = try await self.daemon.reload()
            if lines.isEmpty { self.logger.notice("configuration reloaded", metadata: ["change": "none"]) }
        } catch {
            for line in String(describing: error).split(separator: "\n") {
                self.logger.error(
                    "reload failed; the old configuration stays", metadata: .event(.reloadFailed).with("problem", "\(line)"))
            }
        }
    }
}
