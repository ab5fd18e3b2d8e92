/// The host of an address: a name, to be looked up at each use, or an IP address.
package enum Host: Sendable, Hashable, CustomStringConvertible {
    /// A DNS name, lower-cased.
    case name(String)
    case address(IPAddress)

    /// The host of a text such as `k8s-api.internal`, `10.0.0.1` or `fd00::1` (no brackets), or nil.
    package init?(_ text: String) {
        if let address = IPAddress(text) {
            self = .address(address)
            return
        }
        let labels = text.lowercased().split(separator: ".", omittingEmptySubsequences: false)
        // Four numbers that are no address are a mistyped address, not a name: 10.0.0.256.
        guard text.utf8.count <= 253, labels.allSatisfy(Self.isLabel),
            labels.last?.utf8.allSatisfy({ (0x30...0x39).contains($0) }) == false
        else { return nil }
        self = .name(text.lowercased())
    }

    /// A label of a DNS name: letters, digits, hyphens and, since real names hold them, underscores.
    private static func isLabel(_ label: Substring) -> Bool {
        guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-" else { return false }
        return label.utf8.allSatisfy { Names.isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }

    /// The name or address, without brackets: what a resolver takes.
    package var description: String {
        switch self {
        case .name(let name): name
        case .address(let address): address.description
        }
    }
}

/// A TCP address as the configuration writes it: `host:port`, `10.0.0.1:17000`, `[fd00::1]:17000`.
package struct HostPort: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address.
    package let host: Host
    /// 1 to 65535.
    package let port: Int

    /// Nil for a port outside 1 to 65535.
    package init?(host: Host, port: Int) {
        guard (1...65_535).contains(port) else { return nil }
        self.host = host
        self.port = port
    }

    /// For constants of this module.
    init(unchecked host: Host, port: Int) {
        self.host = host
        self.port = port
    }

    /// The address of a text such as `10.0.0.1:17000`, or nil; `parse` gives the reason.
    package init?(_ text: String) {
        guard case .success(let value) = Self.parse(text, allowingAnyHost: false) else { return nil }
        self = value
    }

    /// `host:port`, with brackets around an IPv6 address; parsing gives it back.
    package var description: String {
        if case .address(let address) = host, address.isIPv6 { return "[\(address)]:\(port)" }
        return "\(host):\(port)"
    }

    /// Whether binding both on one machine would fail: the same port on the same address, or on every address.
    package func collides(with other: HostPort) -> Bool {
        guard port == other.port else { return false }
        if host == other.host { return true }
        func isAny(_ host: Host) -> Bool { if case .address(let address) = host { address.isAny } else { false } }
        return isAny(host) || isAny(other.host)
    }

    /// Why a text is no address: what is wrong and what would be right.
    struct Fault: Error, Equatable {
        let wrong: String
        /// Nil when an example serves as well.
        let right: String?
    }

    /// Parses, with a reason for what fails. `allowingAnyHost` takes `:17000` as every IPv4 address, as the original did.
    static func parse(_ text: String, allowingAnyHost: Bool) -> Result<HostPort, Fault> {
        guard let colon = text.lastIndex(of: ":") else { return .failure(Fault(wrong: "it has no port", right: nil)) }
        let portText = text[text.index(after: colon)...]
        let hostText = String(text[..<colon])
        guard let port = ByteSize.parse(String(portText)), portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            (1...65_535).contains(port)
        else { return .failure(Fault(wrong: "its port is not a number from 1 to 65535", right: nil)) }
        if hostText.isEmpty, allowingAnyHost {
            return make(.address(.any), port)
        }
        if hostText.hasPrefix("["), hostText.hasSuffix("]"), hostText.utf8.count > 2 {
            guard let address = IPAddress(String(hostText.dropFirst().dropLast())), address.isIPv6 else {
                return .failure(Fault(wrong: "there is no IPv6 address between the brackets", right: "[fd00::1]:\(port)"))
            }
            return make(.address(address), port)
        }
        if hostText.contains(":") {
            return .failure(Fault(wrong: "an IPv6 address needs brackets", right: "[fd00::1]:\(port)"))
        }
        guard let host = Host(hostText) else {
            return .failure(Fault(wrong: "its host is neither a name nor an IP address", right: "10.0.0.11:\(port)"))
        }
        return make(host, port)
    }

    private static func make(_ host: Host, _ port: Int) -> Result<HostPort, Fault> {
        HostPort(host: host, port: port).map { .success($0) }
            ?? .failure(Fault(wrong: "its port is out of range", right: nil))
    }
}
