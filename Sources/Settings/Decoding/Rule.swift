/// How one kind of scalar is read, and what a message about it says.
package struct Rule<Value: Sendable>: Sendable {
    /// Why a text was refused; what is left out comes from the rule.
    package struct Complaint: Error {
        /// What is wrong; nil for "expected …, found …".
        package var wrong: String?
        /// A value that would be right; nil for the rule's example.
        package var right: String?
        /// The whole advice; nil for "write KEY: …".
        package var mend: String?

        package init(wrong: String? = nil, right: String? = nil, mend: String? = nil) {
            self.wrong = wrong
            self.right = right
            self.mend = mend
        }
    }

    /// Completes "expected …".
    package let expected: String
    /// A value to write instead.
    package let example: String
    /// Whether the text must not be shown.
    package var isSecret = false
    /// Reads a text; the flag tells whether it was quoted.
    package let parse: @Sendable (_ text: String, _ quoted: Bool) -> Result<Value, Complaint>

    package init(
        _ expected: String, example: String, isSecret: Bool = false,
        parse: @escaping @Sendable (_ text: String, _ quoted: Bool) -> Result<Value, Complaint>
    ) {
        self.expected = expected
        self.example = example
        self.isSecret = isSecret
        self.parse = parse
    }

    /// A rule that takes what `read` returns, quoted or not.
    package init(_ expected: String, example: String, reading read: @escaping @Sendable (String) -> Value?) {
        self.init(expected, example: example) { text, _ in read(text).map { .success($0) } ?? .failure(Complaint()) }
    }
}

// MARK: Numbers, durations, sizes

extension Rule where Value == Int {
    /// A whole number, written without quotes.
    package static func number(_ range: ClosedRange<Int>, example: String) -> Rule {
        Rule("a whole number from \(range.lowerBound) to \(range.upperBound)", example: example) { text, quoted in
            guard !quoted, text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
                range.contains(number)
            else { return .failure(Complaint()) }
            return .success(number)
        }
    }

    /// A TCP port.
    package static let port = number(1...65_535, example: "20022")

    /// A number of bytes.
    package static func size(_ range: ClosedRange<Int>, example: String) -> Rule {
        let bounds = "\(ByteSize.format(range.lowerBound)) to \(ByteSize.format(range.upperBound))"
        return Rule("a size from \(bounds)", example: example) { text in
            ByteSize.parse(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension Rule where Value == Duration {
    /// A duration; a bare number is seconds where the original gotunnel had the key.
    package static func duration(_ range: ClosedRange<Duration>, example: String, bareSeconds: Bool = false) -> Rule {
        let bounds = "\(DurationText.format(range.lowerBound)) to \(DurationText.format(range.upperBound))"
        return Rule("a duration from \(bounds)", example: example) { text, _ in
            guard let value = DurationText.parse(text, bareSeconds: bareSeconds) else {
                let seconds = DurationText.parse(text, bareSeconds: true).map { range.contains($0) ? "\(text)s" : nil } ?? nil
                return .failure(Complaint(right: seconds))
            }
            return range.contains(value) ? .success(value) : .failure(Complaint())
        }
    }
}

// MARK: Words

extension Rule where Value == Bool {
    package static let boolean = Rule("true or false", example: "true") { text, quoted in
        switch (text, quoted) {
        case ("true", false), ("True", false), ("TRUE", false): .success(true)
        case ("false", false), ("False", false), ("FALSE", false): .success(false)
        case ("yes", _), ("on", _), ("1", _): .failure(Complaint(right: "true"))
        case ("no", _), ("off", _), ("0", _): .failure(Complaint(right: "false"))
        default: .failure(Complaint())
        }
    }
}

extension Rule where Value: RawRepresentable<String> & CaseIterable {
    /// One of the words of an enum; `also` maps other spellings to them.
    package static func word(_ type: Value.Type, example: String, also: [String: Value] = [:]) -> Rule {
        let words = Value.allCases.map(\.rawValue)
        return Rule("one of \(words.joined(separator: ", "))", example: example) { text, _ in
            if let value = Value(rawValue: text.lowercased()) ?? also[text.lowercased()] { return .success(value) }
            return .failure(Complaint(right: PrintableText.nearest(to: text, among: words)))
        }
    }
}

extension Rule where Value == String {
    /// The name of a server or client.
    package static let processName = Rule("a name", example: "worker-1") { text, _ in
        if let name = Names.processName(text) { return .success(name) }
        return .failure(nameComplaint(text, "letters, digits, hyphens and dots, at most \(Names.longest) bytes"))
    }

    /// The name of a service or an exposure.
    package static let label = Rule("a name", example: "kubelet") { text, _ in
        if let name = Names.label(text) { return .success(name) }
        return .failure(nameComplaint(text, "letters, digits and hyphens, at most 63 bytes"))
    }

    private static func nameComplaint(_ text: String, _ allowed: String) -> Complaint {
        Complaint(wrong: "\(PrintableText.quoted(text)) is no name (\(allowed))", right: Names.suggestion(for: text))
    }

    /// A file or directory.
    package static func path(_ example: String) -> Rule {
        Rule("a path", example: example) { text, _ in
            if PrintableText.looksLikeSecret(text), !text.contains("/") {
                return .failure(Complaint(wrong: "this looks like the secret itself, not like the path of a file"))
            }
            guard (1...4_096).contains(text.utf8.count), text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
            else {
                return .failure(Complaint())
            }
            return .success(text)
        }
    }

    /// The path of a Unix socket, which the system bounds (`sun_path`).
    package static let socketPath = Rule("a path of at most 107 bytes", example: "/run/gotunnel/server.sock") { text in
        (1...107).contains(text.utf8.count) && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
            ? text : nil
    }

    /// One argument of a command.
    package static let argument = Rule("text", example: "/usr/local/bin/take-address") { text in
        (1...4_096).contains(text.utf8.count) && !text.utf8.contains(0) ? text : nil
    }

    /// A path of an HTTP request.
    package static let httpPath = Rule("a path that starts with /", example: "/readyz") { text in
        text.hasPrefix("/") && text.utf8.count <= 1_024 && text.utf8.allSatisfy { (0x21...0x7e).contains($0) } ? text : nil
    }
}

extension Rule where Value == Secret {
    /// A secret written in the file. Its text appears in no message.
    package static let secret = Rule("a token", example: "\"...\" (gotunnelctl token new)", isSecret: true) { text, _ in
        guard (1...1_024).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            return .failure(
                Complaint(
                    wrong: "it is empty, longer than 1 KiB, or holds spaces or unprintable bytes",
                    mend: "run gotunnelctl token new"))
        }
        return .success(Secret(text))
    }
}

// MARK: Addresses

extension Rule where Value == HostPort {
    /// An address to dial.
    package static func address(_ example: String) -> Rule { rule(example, allowingAnyHost: false) }

    /// An address to listen on; `:17000` means every IPv4 address.
    package static func listenAddress(_ example: String) -> Rule { rule(example, allowingAnyHost: true) }

    private static func rule(_ example: String, allowingAnyHost: Bool) -> Rule {
        Rule("host:port", example: "\"\(example)\"") { text, _ in
            HostPort.parse(text, allowingAnyHost: allowingAnyHost).mapError { fault in
                let right = fault.right ?? completed(text, from: example)
                return Complaint(wrong: "\(PrintableText.quoted(text)): \(fault.wrong)", right: right.map { "\"\($0)\"" })
            }
        }
    }

    /// A host without its port, or a port without its host, completed from the example.
    private static func completed(_ text: String, from example: String) -> String? {
        guard let example = HostPort(example), !text.contains(":") else { return nil }
        if let port = Int(text) { return HostPort(host: example.host, port: port)?.description }
        return Host(text).flatMap { HostPort(host: $0, port: example.port)?.description }
    }
}

extension Rule where Value == IPAddress {
    package static let ipAddress = Rule("an IP address", example: "\"127.0.0.1\"", reading: { IPAddress($0) })
}

extension Rule where Value == Host {
    package static let host = Rule("a host name or an IP address", example: "\"10.1.0.5\"", reading: { Host($0) })
}

extension Rule where Value == CIDR {
    package static let cidr = Rule("a range of addresses", example: "\"10.244.0.0/16\"") { text, _ in
        if let cidr = CIDR(text) { return .success(cidr) }
        if let address = IPAddress(text) { return .failure(Complaint(right: "\"\(address)/\(address.bytes.count * 8)\"")) }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1]),
            (0...address.bytes.count * 8).contains(length)
        {
            let right = "\"\(address.masked(to: length))/\(length)\""
            return .failure(
                Complaint(wrong: "\(PrintableText.quoted(text)) has bits set after the first \(length)", right: right))
        }
        return .failure(Complaint())
    }
}

extension Rule where Value == PortRange {
    package static let portRange = Rule("a port or a range of ports", example: "\"20000-20999\"") { text, _ in
        if let range = PortRange(text) { return .success(range) }
        let ends = text.split(separator: "-").compactMap { Int($0) }
        if ends.count == 2, ends[0] > ends[1], let turned = PortRange("\(ends[1])-\(ends[0])") {
            return .failure(
                Complaint(wrong: "the range \(PrintableText.quoted(text)) ends before it starts", right: "\"\(turned)\""))
        }
        return .failure(Complaint())
    }
}

extension Rule where Value == NamePattern {
    package static let pattern = Rule("a name or a pattern such as k8s-*", example: "\"k8s-*\"", reading: { NamePattern($0) })
}

extension Rule where Value == CertificatePin {
    package static let pin = Rule("the SHA-256 of a certificate (64 hex digits)", example: "the pin from gotunnelctl token join")
    {
        text in
        CertificatePin(text)
    }
}
