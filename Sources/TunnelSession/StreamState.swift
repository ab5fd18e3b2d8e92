import NIOCore
import TunnelWire

/// One stream as the session sees it.
struct StreamState: Sendable {
    /// How far the opening has come.
    ///
    /// ```
    /// opener:    opening → accepted → open
    /// answerer:  answering → open
    /// ```
    /// Every phase can also end at once, by REFUSED (before `open`) or RESET.
    enum Phase: Sendable, Equatable {
        /// OPEN was sent. Can transition to: accepted, open.
        case opening
        /// The other end has the OPEN and is working on it. Can transition to: open.
        case accepted
        /// ACCEPTED was sent, the local side is being dialled. Can transition to: open.
        case answering
        /// Data flows. Final.
        case open
    }

    var phase: Phase
    /// Bytes of its OPEN frame while that is queued; 0 once it was sent.
    var unsentOpen = 0
    var outbound = OutboundQueue()
    /// Bytes that may still be sent.
    var sendCredit = Limits.initialCredit
    var incoming = CreditWindow()
    /// The local program will send no more; FIN follows the queued bytes.
    var isLocalFinished = false
    /// FIN is on its way, or queued among the control frames.
    var isFinSent = false
    var isRemoteFinished = false
    /// In the scheduler's ring.
    var isScheduled = false
    /// In the list of streams whose source may be read.
    var isHungry = false
    /// In the list of streams that are owed credit.
    var isCreditDue = false
    /// What is left of its turns, in bytes.
    var deficit = 0

    /// Whether there are bytes that may be sent now.
    var isSendable: Bool { self.phase == .open && !self.outbound.isEmpty && self.sendCredit > 0 }

    /// Whether all bytes are sent and only FIN is left to send.
    var isFinReady: Bool { self.phase == .open && self.isLocalFinished && !self.isFinSent && self.outbound.isEmpty }

    /// Whether bytes read from the local program would have somewhere to go.
    var wantsSource: Bool {
        self.phase == .open && !self.isLocalFinished && self.outbound.isEmpty && self.sendCredit > 0
    }

    /// Both directions have ended and nothing of it is left here.
    var isDone: Bool { self.isFinSent && self.isRemoteFinished && self.incoming.outstanding == 0 }
}
