import Glibc
import Systemd
import Testing

extension SystemdTests {
    @Suite struct WatchdogIntervalTests {
        @Test func itIsReadAndTakenOutOfTheEnvironment() throws {
            try Environment.with(["WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "\(getpid())"]) { () throws in
                #expect(try WatchdogInterval.receive() == WatchdogInterval(.milliseconds(2500)))
                #expect(Environment.value("WATCHDOG_USEC") == nil)
                #expect(Environment.value("WATCHDOG_PID") == nil)
                #expect(try WatchdogInterval.receive() == nil)
            }
        }

        @Test func oneForAnotherProcessIsNotOurs() throws {
            try Environment.with(["WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"]) { () throws in
                #expect(try WatchdogInterval.receive() == nil)
                #expect(Environment.value("WATCHDOG_USEC") == nil)
            }
        }

        @Test(arguments: ["0", "soon", ""])
        func nonsenseIsAnError(value: String) throws {
            Environment.with(["WATCHDOG_USEC": value]) {
                #expect(throws: SystemdError.failed(call: "sd_watchdog_enabled", code: EINVAL)) { try WatchdogInterval.receive() }
                #expect(Environment.value("WATCHDOG_USEC") == nil)
            }
        }

        @Test func theWholeEnvironmentIsTakenOverAndGivenOn() throws {
            let variables = [
                "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "\(getpid())", "LISTEN_PID": "1", "LISTEN_FDS": "2",
                "LISTEN_FDNAMES": "a:b", "NOTIFY_SOCKET": "@nobody", "CREDENTIALS_DIRECTORY": "/run/credentials/x",
            ]
            try Environment.with(variables) { () throws in
                let environment = try ServiceEnvironment.receive()
                #expect(environment.watchdog == WatchdogInterval(.seconds(3)))
                #expect(environment.manager.socket == "@nobody")
                #expect(environment.descriptors.all.isEmpty)
                #expect(environment.credentials == CredentialsDirectory(path: "/run/credentials/x"))
                #expect(environment.variablesForSuccessor(processID: 77) == ["WATCHDOG_USEC=3000000", "WATCHDOG_PID=77"])
                let left = Environment.names.filter { Environment.value($0) != nil }
                #expect(left == ["NOTIFY_SOCKET"])
            }
        }

        @Test func anErrorLeavesTheEnvironmentClean() throws {
            Environment.with(["WATCHDOG_USEC": "soon", "LISTEN_PID": "1", "LISTEN_FDS": "2"]) {
                #expect(throws: SystemdError.self) { try ServiceEnvironment.receive() }
                #expect(Environment.names.filter { Environment.value($0) != nil } == [])
            }
        }

        @Test func withoutSystemdThereIsNothing() throws {
            try Environment.with([:]) { () throws in
                let environment = try ServiceEnvironment.receive()
                #expect(environment.watchdog == nil)
                #expect(!environment.manager.isPresent)
                #expect(environment.descriptors.all.isEmpty)
                #expect(environment.variablesForSuccessor(processID: 77).isEmpty)
            }
        }
    }
}
