import TunnelWire

/// For rehearsals: registrations without clients. Sessions of a hundred thousand clients would be a test of something else.
extension GotunnelServer {
    /// Publishes what a client would have registered here; nil: its session is over.
    package func rehearse(client: String, _ record: ClientRecord?) { self.context.directory.publish(client: client, record) }

    /// What the other servers have registered of a client, the youngest first.
    package func knownElsewhere(client: String) -> [ClientRecord] {
        self.context.directory.owners(of: client).map(\.record)
    }

    /// How many clients the other servers have registered. Counts them all: not for a loop.
    package func countElsewhere() -> Int { self.context.directory.clientsElsewhere.count }
}
