import NIOCore

/// GOAWAY: the sender takes no new streams; old ones may finish until the deadline.
package struct GoAway: WirePayload, Equatable {
    package static let frameType = FrameType.goAway

    /// Milliseconds from now until the streams that are left will be reset; 0: the drain was called off.
    package var deadlineMilliseconds: UInt32
    package var reason: String

    package var isCalledOff: Bool { self.deadlineMilliseconds == 0 }

    package init(deadlineMilliseconds: UInt32, reason: String) {
        self.deadlineMilliseconds = deadlineMilliseconds
        self.reason = reason
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.deadlineMilliseconds)
        buffer.writeWireText(self.reason)
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.deadlineMilliseconds = try buffer.readWire(UInt32.self, "deadline")
        self.reason = try buffer.readWireText("reason")
    }
}

/// RESUME_WINDOW: how long the sender will look for a new link when this one breaks; the last one heard holds.
package struct ResumeWindow: WirePayload, Equatable {
    package static let frameType = FrameType.resumeWindow
    package var milliseconds: UInt32

    package init(milliseconds: UInt32) { self.milliseconds = milliseconds }

    package func write(into buffer: inout ByteBuffer) { buffer.writeInteger(self.milliseconds) }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.milliseconds = try buffer.readWire(UInt32.self, "resume window")
    }
}

/// A frame that speaks of the session itself, decoded.
package enum ControlMessage: Equatable, Sendable {
    case register(Register)
    case registered(Registered)
    case services(Services)
    case goAway(GoAway)
    case resumeWindow(ResumeWindow)
    case peers(Peers)
    case move(Move)
    /// Between servers alone; from a client it is a violation.
    case gossip(Gossip)

    /// Nil for a frame that is not session control.
    package init?(_ type: FrameType, payload: ByteBuffer) throws(WireError) {
        var payload = payload
        switch type {
        case .register: self = .register(try Register(reading: &payload))
        case .registered: self = .registered(try Registered(reading: &payload))
        case .services: self = .services(try Services(reading: &payload))
        case .goAway: self = .goAway(try GoAway(reading: &payload))
        case .resumeWindow: self = .resumeWindow(try ResumeWindow(reading: &payload))
        case .peers: self = .peers(try Peers(reading: &payload))
        case .move: self = .move(try Move(reading: &payload))
        case .gossip: self = .gossip(try Gossip(reading: &payload))
        case .cluster: throw WireError(.unexpected, "a frame of control links inside a session")
        default: return nil
        }
    }

    /// The whole frame.
    package func frame() -> ByteBuffer {
        switch self {
        case .register(let message): message.frame()
        case .registered(let message): message.frame()
        case .services(let message): message.frame()
        case .goAway(let message): message.frame()
        case .resumeWindow(let message): message.frame()
        case .peers(let message): message.frame()
        case .move(let message): message.frame()
        case .gossip(let message): message.frame()
        }
    }
}
