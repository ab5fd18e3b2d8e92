import TunnelWire

/// Two servers that listen on one port lead it to the same target.
enum ListenerCheck {
    static func conflict(
        _ one: MappedPort, of name: ServerName, _ other: MappedPort, of otherName: ServerName
    ) -> String? {
        guard one.client != other.client || one.exposure != other.exposure else { return nil }
        return """
            port \(one.port) leads to \(one.client)/\(one.exposure) on \(name) (token \(one.token.text)) \
            and to \(other.client)/\(other.exposure) on \(otherName) (token \(other.token.text))
            """
    }
}
