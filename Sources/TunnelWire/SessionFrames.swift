import NIOCore

/// One exposure as its client declares it.
package struct ExposureDeclaration: Equatable, Sendable {
    package var name: String
    /// The TCP port that servers listen on for it; nil: reachable by name only.
    package var mappedPort: UInt16?
    /// What the client's own check of the target says.
    package var isHealthy: Bool

    package init(name: String, mappedPort: UInt16?, isHealthy: Bool) {
        self.name = name
        self.mappedPort = mappedPort
        self.isHealthy = isHealthy
    }
}

/// REGISTER: all that a client exposes. It replaces what the client registered before.
package struct Register: WirePayload, Equatable {
    package static let frameType = FrameType.register

    /// Grows with each REGISTER of the instance.
    package var version: UInt64
    package var exposures: [ExposureDeclaration]

    package init(version: UInt64, exposures: [ExposureDeclaration]) {
        self.version = version
        self.exposures = Self.fitting(exposures)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.version)
        buffer.writeInteger(UInt16(self.exposures.count))
        for exposure in self.exposures {
            buffer.writeWireName(exposure.name)
            buffer.writeInteger(exposure.mappedPort ?? 0)
            buffer.writeInteger(UInt8(exposure.isHealthy ? 1 : 0))
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.version = try buffer.readWire(UInt64.self, "registration version")
        let count = try buffer.readWireCount("exposures")
        self.exposures = []
        for _ in 0..<count {
            let name = try buffer.readWireName("exposure")
            let port = try buffer.readWire(UInt16.self, "mapped port")
            let health = try buffer.readWire(UInt8.self, "health")
            self.exposures.append(
                ExposureDeclaration(name: name, mappedPort: port == 0 ? nil : port, isHealthy: health != 0))
        }
    }

    /// As many exposures as one frame holds: 254 with the longest of names, 1 024 with names of up to 59 bytes.
    private static func fitting(_ exposures: [ExposureDeclaration]) -> [ExposureDeclaration] {
        var room = Limits.framePayload - 10
        return Array(
            exposures.prefix(Limits.listEntries).prefix { exposure in
                room -= exposure.name.utf8.count + 4
                return room >= 0
            })
    }
}

/// What became of one declared exposure.
package struct ExposureResult: Equatable, Sendable {
    package var name: String
    package var mappedPort: UInt16?
    /// Nil when the exposure is in force, otherwise why not, printable, at most 200 bytes.
    package var problem: String?

    package init(name: String, mappedPort: UInt16?, problem: String?) {
        self.name = name
        self.mappedPort = mappedPort
        self.problem = problem.map { PrintableText.clean($0) }
    }
}

/// REGISTERED: the server's answer to the REGISTER of the same version.
package struct Registered: WirePayload, Equatable {
    package static let frameType = FrameType.registered

    package var version: UInt64
    package var results: [ExposureResult]

    package init(version: UInt64, results: [ExposureResult]) {
        self.version = version
        self.results = Self.fitting(results)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(self.version)
        buffer.writeInteger(UInt16(self.results.count))
        for result in self.results {
            buffer.writeWireName(result.name)
            buffer.writeInteger(result.mappedPort ?? 0)
            buffer.writeInteger(UInt8(result.problem == nil ? 0 : 1))
            if let problem = result.problem { buffer.writeWireText(problem) }
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.version = try buffer.readWire(UInt64.self, "registration version")
        let count = try buffer.readWireCount("results")
        self.results = []
        for _ in 0..<count {
            let name = try buffer.readWireName("exposure")
            let port = try buffer.readWire(UInt16.self, "mapped port")
            let hasProblem = try buffer.readWire(UInt8.self, "result") != 0
            let problem = hasProblem ? try buffer.readWireText("problem") : nil
            self.results.append(ExposureResult(name: name, mappedPort: port == 0 ? nil : port, problem: problem))
        }
    }

    /// As many results as one frame holds: a thousand refusals with long reasons would not fit.
    private static func fitting(_ results: [ExposureResult]) -> [ExposureResult] {
        var room = Limits.framePayload - 16
        return Array(
            results.prefix(Limits.listEntries).prefix { result in
                room -= result.name.utf8.count + (result.problem?.utf8.count ?? 0) + 8
                return room >= 0
            })
    }
}

/// One service as a server announces it.
package struct ServiceAnnouncement: Equatable, Sendable {
    package var name: String
    package var isHealthy: Bool
    /// Whether a dial that is slow after ACCEPTED may be tried a second time elsewhere.
    package var mayHedgeDial: Bool

    package init(name: String, isHealthy: Bool, mayHedgeDial: Bool = false) {
        self.name = name
        self.isHealthy = isHealthy
        self.mayHedgeDial = mayHedgeDial
    }
}

/// SERVICES: all that this client may use. It replaces what was announced before.
package struct Services: WirePayload, Equatable {
    package static let frameType = FrameType.services
    package var services: [ServiceAnnouncement]

    /// 200 services with the longest of names fit into one frame; more are left out.
    package init(_ services: [ServiceAnnouncement]) { self.services = Array(services.prefix(200)) }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt16(self.services.count))
        for service in self.services {
            buffer.writeWireName(service.name)
            buffer.writeInteger(UInt8(service.isHealthy ? 1 : 0) | UInt8(service.mayHedgeDial ? 2 : 0))
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        let count = try buffer.readWireCount("services")
        self.services = []
        for _ in 0..<count {
            let name = try buffer.readWireName("service")
            let flags = try buffer.readWire(UInt8.self, "service flags")
            self.services.append(
                ServiceAnnouncement(name: name, isHealthy: flags & 1 != 0, mayHedgeDial: flags & 2 != 0))
        }
    }
}

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

    /// Nil for a frame that is not session control.
    package init?(_ type: FrameType, payload: ByteBuffer) throws(WireError) {
        var payload = payload
        switch type {
        case .register: self = .register(try Register(reading: &payload))
        case .registered: self = .registered(try Registered(reading: &payload))
        case .services: self = .services(try Services(reading: &payload))
        case .goAway: self = .goAway(try GoAway(reading: &payload))
        case .resumeWindow: self = .resumeWindow(try ResumeWindow(reading: &payload))
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
        }
    }
}
