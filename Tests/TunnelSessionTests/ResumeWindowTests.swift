import Testing
import TunnelWire

@testable import TunnelSession

@Suite struct ResumeWindowTests {
    private static let short = Duration.seconds(5)
    private static let long = Duration.seconds(30)

    @Test func theOtherEndIsToldAtOnce() throws {
        var couple = try Couple()
        couple.dialer.setResumeWindow(Self.short)
        try couple.exchange()
        #expect(couple.acceptor.resumeWindow == Self.short && couple.dialer.resumeWindow == Self.short)
    }

    @Test func whatIsSetWithoutALinkIsSaidOnTheNextOne() throws {
        var couple = try Couple()
        couple.dialer.detach(now: .start)
        couple.acceptor.detach(now: .start)
        couple.dialer.setResumeWindow(Self.long)
        couple.dialer.setResumeWindow(Self.short)
        #expect(couple.dialer.resumeWindow == Self.short)
        try couple.acceptor.attach(peerReceived: couple.dialer.received, now: .start)
        try couple.dialer.attach(peerReceived: couple.acceptor.received, now: .start)
        try couple.exchange()
        #expect(couple.acceptor.resumeWindow == Self.short)
    }

    @Test func aSessionThatHasNoLinkYetSaysItOnTheFirst() throws {
        var session = Session(side: .dialer, configuration: SessionConfiguration(), now: .start)
        session.setResumeWindow(Self.short)
        try session.attach(peerReceived: 0, now: .start)
        #expect(session.labels().contains("RESUME_WINDOW"))
    }

    @Test func aClientDoesNotObeyAServersWindow() throws {
        var couple = try Couple()
        couple.acceptor.send(.resumeWindow(ResumeWindow(milliseconds: 3_600_000)))
        try couple.exchange()
        #expect(couple.dialer.resumeWindow == SessionConfiguration().resumeWindow)
    }

    @Test func theSameIsNotSaidTwice() throws {
        var couple = try Couple()
        couple.dialer.setResumeWindow(Self.short)
        try couple.exchange()
        couple.dialer.setResumeWindow(Self.short)
        #expect(couple.dialer.controlQueued == 0)
    }
}
