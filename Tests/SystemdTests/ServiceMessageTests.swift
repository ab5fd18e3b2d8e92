import Testing
import Timing

@testable import Systemd

extension SystemdTests {
    @Suite struct ServiceMessageTests {
        @Test func theLinesAreThoseOfTheManualPage() {
            let moment = Moment(nanoseconds: 1_234_567_890)
            #expect(ServiceMessage.ready(status: nil).text == "READY=1")
            #expect(ServiceMessage.ready(status: "leader of 3").text == "READY=1\nSTATUS=leader of 3")
            #expect(ServiceMessage.reloading(now: moment, status: nil).text == "RELOADING=1\nMONOTONIC_USEC=1234567")
            #expect(ServiceMessage.stopping(status: "bye").text == "STOPPING=1\nSTATUS=bye")
            #expect(ServiceMessage.extendTimeout(.milliseconds(1500)).text == "EXTEND_TIMEOUT_USEC=1500000")
            #expect(ServiceMessage.extendTimeout(.seconds(-1)).text == "EXTEND_TIMEOUT_USEC=0")
            #expect(ServiceMessage.store(name: "s", poll: false).text == "FDSTORE=1\nFDNAME=s\nFDPOLL=0")
            #expect(ServiceMessage.store(name: "s", poll: true).text == "FDSTORE=1\nFDNAME=s")
            #expect(ServiceMessage.remove(name: "s").text == "FDSTOREREMOVE=1\nFDNAME=s")
        }

        @Test(arguments: [
            ("one\nMAINPID=1", "one MAINPID=1"), ("\u{1b}[31mred", "?[31mred"), ("caf\u{e9}", "caf?"), ("nul\0", "nul?"),
            ("", ""),
        ])
        func aStatusIsOneLineOfPrintableASCII(text: String, shown: String) {
            #expect(ServiceMessage.status(text).text == "STATUS=\(shown)")
        }

        @Test func aLongStatusIsCut() {
            #expect(OneLine.clean(String(repeating: "x", count: 200)).utf8.count == 200)
            let cut = OneLine.clean(String(repeating: "x", count: 100_000))
            #expect(cut.utf8.count == 200)
            #expect(cut.hasSuffix("x..."))
            #expect(OneLine.clean("abcdef", limit: 2) == "..")
        }
    }
}
