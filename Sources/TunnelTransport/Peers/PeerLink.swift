import NIOCore
import Timing
import TunnelWire

/// How a control link ended.
package enum PeerLinkEnd: Equatable, Sendable, CustomStringConvertible {
    /// The peer said why: it ends on purpose, or does not want this link.
    case announced(Close)
    /// The connection was reset, or ended without a word: perhaps its process is gone.
    case broken(String)
    /// Nothing was heard for the span that was set.
    case silent
    /// The peer broke the protocol.
    case violation(WireError)

    package var description: String {
        switch self {
        case .announced(let close): "closed by the peer: \(close.reason)"
        case .broken(let reason): "broken: \(reason)"
        case .silent: "nothing was heard from the peer for too long"
        case .violation(let error): "the peer broke the protocol (\(error))"
        }
    }
}

/// Who uses a control link. Called on its event loop.
package protocol PeerLinkOwner: AnyObject {
    func link(_ link: PeerLink, received message: ByteBuffer)
    /// The link is over; not called after `close`.
    func link(_ link: PeerLink, ended end: PeerLinkEnd)
}

/// A control link between two servers, after its handshake: whole messages, each sent at once or not at all.
///
/// Nothing is counted, kept or sent again. PINGs keep it alive and measure its round trip. Bound to the event loop of the
/// control plane.
package final class PeerLink {
    /// What the other end said of itself; it has proved it.
    package let peer: Hello
    /// Whether this end opened the connection.
    package let isDialed: Bool
    /// The other end's address, for logs and status.
    package let remoteAddress: String
    package private(set) var isEnded = false
    private let link: LinkHandler
    private let eventLoop: any EventLoop
    private let pace: PeerPace
    private weak var owner: (any PeerLinkOwner)?
    private var decoder = FrameDecoder()
    private var liveness: PeerLiveness
    private var unread: ByteBuffer
    private var isStarted = false
    private var pongMark: UInt64?
    private var timer: Scheduled<Void>?

    /// How much the kernel may hold unsent: what is older than that is not worth sending any more. In bytes.
    private static let unsentBound = 16_384

    init(
        _ link: LinkHandler, peer: Hello, isDialed: Bool, eventLoop: any EventLoop, pace: PeerPace, unread: ByteBuffer
    ) {
        self.link = link
        self.peer = peer
        self.isDialed = isDialed
        self.remoteAddress = link.remoteAddress?.shortText ?? "unknown"
        self.eventLoop = eventLoop
        self.pace = pace
        self.unread = unread
        self.liveness = PeerLiveness(pace, now: Self.now)
        link.setOption(LinkOptions.notSentLowWaterOption, Self.unsentBound)
        // A dead link must not stay in the kernel after this process has given it up.
        link.setOption(LinkOptions.userTimeoutOption, Int(clamping: pace.silence.wholeMilliseconds * 2))
    }

    /// Smoothed; nil until the first PING was answered.
    package var roundTrip: Duration? { self.liveness.roundTrip }

    /// Whether a message would be taken now.
    package var isWritable: Bool { !self.isEnded && self.link.isWritable }

    /// Messages go to `owner` from now on, which is not retained; what has arrived already is delivered before this returns.
    package func start(_ owner: any PeerLinkOwner) {
        guard !self.isStarted, !self.isEnded else { return }
        self.isStarted = true
        self.owner = owner
        self.link.setOwner(self)
        var early = ByteBuffer()
        swap(&early, &self.unread)
        self.liveness = PeerLiveness(self.pace, now: Self.now)
        if early.readableBytes > 0 { self.link(self.link, received: early) }
        self.linkReadCompleted(self.link)
        self.timerFired()
    }

    /// Sends a message of at most ``ClusterLimits/controlMessage`` bytes. False, and dropped, when the link does not take it
    /// now: it would be late, and later ones replace it.
    package func send(_ message: ByteBuffer) -> Bool {
        assert(message.readableBytes <= ClusterLimits.controlMessage, "a control message has to fit one frame")
        guard self.isWritable, message.readableBytes <= ClusterLimits.controlMessage else { return false }
        self.link.write(ClusterFrame(message).frame())
        self.link.flush()
        return true
    }

    /// Says why and closes; the owner hears nothing more.
    package func close(_ close: Close) {
        guard self.finish() else { return }
        self.link.close(close)
    }

    /// Nobody wants it.
    func closeUnlessStarted() {
        if !self.isStarted { self.close(Close(.busy, "this server does not take the link now")) }
    }

    /// - Parameter closing: what is to be done with the connection, if it is still there. It may tell at once that it closed.
    private func end(_ end: PeerLinkEnd, closing: (LinkHandler) -> Void = { _ in }) {
        let owner = self.owner
        guard self.finish() else { return }
        closing(self.link)
        owner?.link(self, ended: end)
    }

    /// True the first time.
    private func finish() -> Bool {
        guard !self.isEnded else { return false }
        self.isEnded = true
        self.timer?.cancel()
        self.timer = nil
        self.owner = nil
        return true
    }

    // MARK: Time

    private func timerFired() {
        guard !self.isEnded else { return }
        let now = Self.now
        switch self.liveness.tick(now: now) {
        case .silent:
            return self.end(.silent) { $0.abandon() }
        case .pingDue where self.link.isWritable:
            self.link.write(LinkFrames.ping(UInt64(bitPattern: now.nanoseconds)))
            self.link.flush()
        case .pingDue, .fine: break
        }
        let delay = max(1_000_000, self.liveness.nextTick.nanoseconds - now.nanoseconds)
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [weak self] in self?.timerFired() }
    }

    private static var now: Moment { Moment(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }
}

extension PeerLink: LinkOwner {
    func link(_ link: LinkHandler, received bytes: ByteBuffer) {
        guard !self.isEnded else { return }
        self.liveness.heard(now: Self.now)
        self.decoder.feed(bytes)
        do {
            while !self.isEnded, let frame = try self.decoder.next() { try self.handle(frame) }
        } catch {
            self.end(.violation(error)) { $0.close(Close(.protocolViolation, error.description)) }
        }
    }

    private func handle(_ frame: DecodedFrame) throws(WireError) {
        guard case .frame(let header, var payload) = frame else {
            throw WireError(.unexpected, "data of a stream on a control link")
        }
        switch header.type {
        case .cluster: self.owner?.link(self, received: try ClusterFrame(reading: &payload).message)
        case .ping: self.pongMark = try payload.readWire(UInt64.self, "mark")
        case .pong:
            let mark = Moment(nanoseconds: Int64(bitPattern: try payload.readWire(UInt64.self, "mark")))
            self.liveness.answered(mark: mark, now: Self.now)
        case .close:
            let close = try Close(reading: &payload)
            self.end(.announced(close)) { $0.close(nil, cause: .closedByPeer(close)) }
        default:
            throw WireError(.unexpected, "frame type \(header.type.rawValue) on a control link")
        }
    }

    func linkReadCompleted(_ link: LinkHandler) {
        guard !self.isEnded, self.link.isWritable, let mark = self.pongMark.take() else { return }
        self.link.write(LinkFrames.pong(mark))
        self.link.flush()
    }

    func linkBecameWritable(_ link: LinkHandler) { self.linkReadCompleted(link) }

    func linkClosed(_ link: LinkHandler, cause: LinkLoss) {
        switch cause {
        case .closedByPeer(let close): self.end(.announced(close))
        case .broken(let reason): self.end(.broken(reason))
        case .silent: self.end(.silent)
        case .closedHere: self.end(.broken("closed here"))
        }
    }
}
