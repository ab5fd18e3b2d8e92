import NIOCore

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
