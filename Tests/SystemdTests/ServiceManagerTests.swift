import Glibc
import Systemd
import Testing

extension SystemdTests {
    @Suite struct ServiceManagerTests {
        /// Runs the body as a service of a manager that listens at a place of its own.
        private func withManager(
            _ place: FakeManager.Place = .abstract, answersBarriers: Bool = true,
            _ body: (ServiceManager, FakeManager) throws -> Void
        ) throws {
            let fake = try FakeManager(place, answersBarriers: answersBarriers)
            defer { fake.stop() }
            try Environment.with(["NOTIFY_SOCKET": fake.address]) { () throws in try body(ServiceManager(), fake) }
        }

        @Test(arguments: FakeManager.Place.allCases)
        func everyMessageArrives(place: FakeManager.Place) throws {
            try withManager(place) { (manager, fake) throws in
                #expect(manager.isPresent)
                #expect(manager.socket == fake.address)
                #expect(try manager.ready(status: "listening"))
                #expect(try manager.status("leader of 3\nREADY=0"))
                #expect(try manager.extendTimeout(by: .seconds(30)))
                #expect(try manager.watchdog())
                #expect(try manager.watchdogTrigger())
                #expect(try manager.mainPID(42))
                #expect(try manager.stopping())
                #expect(try manager.barrier(timeout: .seconds(60)))
                let expected = [
                    "READY=1\nSTATUS=listening", "STATUS=leader of 3 READY=0", "EXTEND_TIMEOUT_USEC=30000000", "WATCHDOG=1",
                    "WATCHDOG=trigger", "MAINPID=42", "STOPPING=1", "BARRIER=1",
                ]
                #expect(fake.texts == expected)
            }
        }

        @Test func aReloadSaysWhenItBegan() throws {
            try withManager { (manager, fake) throws in
                let before = MonotonicTime.now
                #expect(try manager.reloading(status: "reading the configuration"))
                let after = MonotonicTime.now
                #expect(try manager.barrier(timeout: .seconds(60)))
                let lines = try #require(fake.texts.first).split(separator: "\n")
                #expect(lines.first == "RELOADING=1")
                #expect(lines.last == "STATUS=reading the configuration")
                let time = try #require(lines.dropFirst().first?.split(separator: "=").last.flatMap { Int64($0) })
                #expect(lines.count == 3)
                #expect((before.nanoseconds / 1000...after.nanoseconds / 1000).contains(time))
            }
        }

        @Test func withoutSystemdNothingHappensAndItSaysSo() throws {
            try Environment.with([:]) { () throws in
                let manager = ServiceManager()
                #expect(!manager.isPresent)
                #expect(try manager.ready(status: "listening") == false)
                #expect(try manager.status("x") == false)
                #expect(try manager.reloading() == false)
                #expect(try manager.stopping() == false)
                #expect(try manager.extendTimeout(by: .seconds(1)) == false)
                #expect(try manager.watchdog() == false)
                #expect(try manager.watchdogTrigger() == false)
                #expect(try manager.mainPID(1) == false)
                #expect(try manager.barrier(timeout: .seconds(1)) == false)
                #expect(try manager.store([0], name: "s", timeout: .seconds(1)) == false)
                #expect(try manager.remove(name: "s", timeout: .seconds(1)) == false)
            }
        }

        @Test func aManagerThatIsGoneIsAnError() throws {
            let fake = try FakeManager(.path)
            fake.stop()
            Environment.with(["NOTIFY_SOCKET": fake.address]) {
                let error = #expect(throws: SystemdError.self) { try ServiceManager().ready() }
                #expect(error == .failed(call: "sd_notify READY=1", code: ENOENT))
                #expect(
                    error?.description
                        == "sd_notify READY=1 failed: No such file or directory (errno 2). The socket that $NOTIFY_SOCKET names is "
                        + "not there: is it visible in this mount namespace?")
            }
        }

        @Test func aBarrierThatIsNotAnsweredEnds() throws {
            try withManager(answersBarriers: false) { (manager, _) throws in
                #expect(throws: SystemdError.failed(call: "sd_notify_barrier", code: ETIMEDOUT)) {
                    try manager.barrier(timeout: .milliseconds(50))
                }
            }
        }

        @Test func descriptorsGoToTheStoreInMessagesThatTheKernelTakes() throws {
            let file = try Descriptors.file()
            let copies = (0..<300).map { _ in dup(file) }
            defer { for one in copies + [file] { close(one) } }
            try withManager { (manager, fake) throws in
                #expect(try manager.store(copies, name: "s", timeout: .seconds(60)))
                #expect(fake.heard.map(\.descriptors.count) == [253, 47, 0])
                #expect(fake.texts == ["FDSTORE=1\nFDNAME=s\nFDPOLL=0", "FDSTORE=1\nFDNAME=s\nFDPOLL=0", "BARRIER=1"])
                let expected = try FileID(file)
                for one in fake.heard.flatMap(\.descriptors) { #expect(try FileID(one) == expected) }
            }
        }

        @Test func whatIsStoredIsRemovedByName() throws {
            try withManager { (manager, fake) throws in
                #expect(try manager.store([0], name: "listener", poll: true, timeout: .seconds(60)))
                #expect(try manager.remove(name: "listener", timeout: .seconds(60)))
                let expected = [
                    "FDSTORE=1\nFDNAME=listener", "BARRIER=1", "FDSTOREREMOVE=1\nFDNAME=listener", "BARRIER=1",
                ]
                #expect(fake.texts == expected)
            }
        }

        @Test(arguments: ["", "a:b", "a\nREADY=1", "caf\u{e9}", String(repeating: "x", count: 256)])
        func aNameThatSystemdWouldNotTakeIsRefused(name: String) throws {
            try withManager { (manager, fake) throws in
                #expect(throws: SystemdError.unusableName(name)) { try manager.store([0], name: name, timeout: .seconds(1)) }
                #expect(throws: SystemdError.unusableName(name)) { try manager.remove(name: name, timeout: .seconds(1)) }
                #expect(fake.texts.isEmpty)
            }
        }

        @Test func storingNothingSaysNothing() throws {
            try withManager { (manager, fake) throws in
                #expect(try manager.store([], name: "s", timeout: .seconds(1)) == false)
                #expect(fake.texts.isEmpty)
            }
        }
    }
}
