/// All that systemd gives to a service through its environment, taken over once, first thing in `main`.
///
/// `WATCHDOG_*` and `LISTEN_*` are taken out of the environment, so that no other process can take them for its own.
/// `NOTIFY_SOCKET` stays, because libsystemd reads it at each call, and changing the environment beside running threads is not
/// safe in the C library. So a child process has to be given an environment of its own choice, never this one;
/// `NotifyAccess=main`, the default, refuses what others than the main process send in any case.
package struct ServiceEnvironment: Sendable {
    package let manager: ServiceManager
    /// `nil`: nobody waits for signs of life.
    package let watchdog: WatchdogInterval?
    package let descriptors: ListenDescriptors
    package let credentials: CredentialsDirectory?

    /// To be called once, before other threads run. An error leaves the environment clean all the same.
    package static func receive() throws(SystemdError) -> ServiceEnvironment {
        let watchdog: Result<WatchdogInterval?, SystemdError> = Result { () throws(SystemdError) in try .receive() }
        let descriptors = try ListenDescriptors.receive()
        return ServiceEnvironment(
            manager: ServiceManager(), watchdog: try watchdog.get(), descriptors: descriptors, credentials: .current)
    }

    /// What a program that is executed in this process's place needs on top of this environment, as `NAME=value`: it has the
    /// same PID, so the watchdog goes on waiting for it.
    ///
    /// - Parameter processID: of this process.
    package func variablesForSuccessor(processID: Int32) -> [String] {
        guard let watchdog else { return [] }
        return ["WATCHDOG_USEC=\(watchdog.duration.wholeMicroseconds)", "WATCHDOG_PID=\(processID)"]
    }
}
