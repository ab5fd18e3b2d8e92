import NIOCore

/// One exposure as its client declares it.
package struct ExposureDeclaration: Equatable, Sendable {
    package var name: String
    /// The TCP port that servers listen on for it; nil: reachable by name only.
    package var mappedPort: UInt16?
    /// What the client's own check of the target says.
    package var isHealthy: Bool
    /// The servers are to choose the mapped port; `mappedPort` is nil then.
    package var wantsPort: Bool

    package init(name: String, mappedPort: UInt16?, isHealthy: Bool, wantsPort: Bool = false) {
        self.name = name
        self.mappedPort = mappedPort
        self.isHealthy = isHealthy
        self.wantsPort = wantsPort && mappedPort == nil
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
            buffer.writeInteger(UInt8(exposure.isHealthy ? 1 : 0) | UInt8(exposure.wantsPort ? 2 : 0))
        }
    }

    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        self.version = try buffer.readWire(UInt64.self, "registration version")
        let count = try buffer.readWireCount("exposures")
        self.exposures = []
        for _ in 0..<count {
            let name = try buffer.readWireName("exposure")
            let port = try buffer.readWire(UInt16.self, "mapped port")
            let flags = try buffer.readWire(UInt8.self, "exposure flags")
            self.exposures.append(
                ExposureDeclaration(
                    name: name, mappedPort: port == 0 ? nil : port, isHealthy: flags & 1 != 0, wantsPort: flags & 2 != 0))
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
