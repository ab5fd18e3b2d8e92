import NIOCore
import Timing
import TunnelWire

@testable import TunnelSession

extension Moment {
    static let start = Moment(nanoseconds: 0)
    static func ms(_ milliseconds: Int) -> Moment { .start + .milliseconds(milliseconds) }
}

extension ByteBuffer {
    static func zeros(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 0, count: count) }
    var bytes: [UInt8] { Array(self.readableBytesView) }
}

extension SessionEvent {
    /// The event in a few words, to be compared in one line.
    var label: String {
        switch self {
        case .open(let id, _): "open \(id)"
        case .accepted(let id): "accepted \(id)"
        case .opened(let id): "opened \(id)"
        case .refused(let id, let refusal): "refused \(id) \(refusal.code)"
        case .data(let id, let bytes): "data \(id) \(bytes.readableBytes)"
        case .finished(let id): "finished \(id)"
        case .reset(let id, let code): "reset \(id) \(code)"
        case .control(.goAway(let message)): message.isCalledOff ? "come back" : "go away"
        case .control: "control"
        case .closed(let close): "closed \(close.code)"
        }
    }
}

/// A frame in a few words: its type, its stream, and for DATA the length.
func label(_ frame: ByteBuffer) -> String {
    let header = FrameHeader(packed: frame.getInteger(at: frame.readerIndex, as: UInt64.self) ?? 0)
    let names: [FrameType: String] = [
        .open: "OPEN", .accepted: "ACCEPTED", .opened: "OPENED", .refused: "REFUSED", .data: "DATA", .credit: "CREDIT",
        .fin: "FIN", .reset: "RESET", .register: "REGISTER", .goAway: "GOAWAY", .resumeWindow: "RESUME_WINDOW", .ack: "ACK",
        .ping: "PING", .pong: "PONG",
    ]
    let name = names[header.type] ?? "\(header.type.rawValue)"
    if header.type == .data { return "\(name) \(header.stream) \(header.length)" }
    return header.stream == 0 ? name : "\(name) \(header.stream)"
}

extension Open {
    static let test = Open(destination: .service("apiserver"), source: "127.0.0.1:1")
}

extension Session {
    /// A session on its first link, with the first PING out of the way.
    static func attached(
        _ side: SessionSide, now: Moment = .start, _ change: (inout SessionConfiguration) -> Void = { _ in }
    ) throws(WireError) -> Session {
        var configuration = SessionConfiguration()
        change(&configuration)
        var session = Session(side: side, configuration: configuration, now: now)
        try session.attach(peerReceived: 0, now: now)
        _ = session.nextWrite(now: now)
        return session
    }

    /// All frames that are ready, in their order.
    mutating func frames(now: Moment = .start, most: Int = .max) -> [ByteBuffer] {
        var frames: [ByteBuffer] = []
        while frames.count < most, let frame = self.nextWrite(now: now) { frames.append(frame) }
        return frames
    }

    /// The same in a few words each.
    mutating func labels(now: Moment = .start, most: Int = .max) -> [String] { self.frames(now: now, most: most).map(label) }

    /// Feeds frames and says what they meant.
    @discardableResult
    mutating func take(_ frames: [ByteBuffer], now: Moment = .start) throws(WireError) -> [String] {
        var events: [String] = []
        for frame in frames {
            self.feed(frame, now: now)
            while let event = try self.nextEvent(now: now) { events.append(event.label) }
        }
        return events
    }

    @discardableResult
    mutating func take(_ frames: ByteBuffer..., now: Moment = .start) throws(WireError) -> [String] {
        try self.take(frames, now: now)
    }

    /// Hungry streams, all of them.
    mutating func allHungry() -> [StreamID] {
        var ids: [StreamID] = []
        while let id = self.nextHungry() { ids.append(id) }
        return ids
    }
}

/// Frames as a peer may send them, sensible or not.
enum Peer {
    static func open(_ id: StreamID) -> ByteBuffer { Open.test.frame(stream: id) }
    static func accepted(_ id: StreamID) -> ByteBuffer { StreamFrames.empty(.accepted, stream: id) }
    static func opened(_ id: StreamID) -> ByteBuffer { StreamFrames.empty(.opened, stream: id) }
    static func fin(_ id: StreamID) -> ByteBuffer { StreamFrames.empty(.fin, stream: id) }
    static func reset(_ id: StreamID) -> ByteBuffer { Reset(.connectionReset).frame(stream: id) }
    static func refused(_ id: StreamID) -> ByteBuffer { Refusal(.timedOut, "").frame(stream: id) }
    static func credit(_ id: StreamID, _ bytes: UInt32) -> ByteBuffer { StreamFrames.credit(bytes, stream: id) }

    static func data(_ id: StreamID, _ count: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(FrameHeader(stream: id, type: .data, length: count).packed)
        buffer.writeRepeatingByte(7, count: count)
        return buffer
    }
}

/// A dialer and an acceptor with a link that is at once and never breaks by itself.
struct Couple {
    var dialer: Session
    var acceptor: Session
    var now = Moment.start
    /// What the sessions said since `exchange` was called last.
    private(set) var dialerEvents: [String] = []
    private(set) var acceptorEvents: [String] = []

    init(_ change: (inout SessionConfiguration) -> Void = { _ in }) throws(WireError) {
        self.dialer = try .attached(.dialer, change)
        self.acceptor = try .attached(.acceptor, change)
    }

    /// Carries everything both ways until there is nothing more.
    mutating func exchange() throws(WireError) {
        self.dialerEvents = []
        self.acceptorEvents = []
        while true {
            let up = self.dialer.frames(now: self.now)
            self.acceptorEvents += try self.acceptor.take(up, now: self.now)
            let down = self.acceptor.frames(now: self.now)
            self.dialerEvents += try self.dialer.take(down, now: self.now)
            if up.isEmpty, down.isEmpty { return }
        }
    }

    /// Lets time pass and carries what becomes due, acknowledgements above all.
    mutating func pass(_ milliseconds: Int) throws(WireError) {
        self.now = self.now + .milliseconds(milliseconds)
        try self.exchange()
    }

    /// The same with the link cut and a new one attached.
    mutating func resume() throws(WireError) {
        self.dialer.detach(now: self.now)
        let dialerReceived = self.dialer.received
        self.acceptor.detach(now: self.now)
        let acceptorReceived = self.acceptor.received
        try self.acceptor.attach(peerReceived: dialerReceived, now: self.now)
        try self.dialer.attach(peerReceived: acceptorReceived, now: self.now)
    }

    /// A stream of the dialer's, open on both ends.
    mutating func openStream() throws -> StreamID {
        let id = try self.dialer.open(.test)
        try self.exchange()
        self.acceptor.opened(id)
        try self.exchange()
        return id
    }
}

/// The kind of the wire error that the operation throws, nil when it throws none.
func violation(_ operation: () throws -> Void) -> WireError.Kind? {
    do {
        try operation()
        return nil
    } catch {
        return (error as? WireError)?.kind
    }
}
