import Logging

/// One event as the bytes of one line, with its line feed. Pure: the time is an argument.
enum LogLine {
    /// No line is longer, so that one `write` to a pipe is never torn (PIPE_BUF is 4096 on Linux).
    static let limit = 4096
    /// Longest message; messages are constants of ours or sentences about the configuration, never bare text from the wire.
    private static let messageLimit = 1000

    static func bytes(_ style: LineFormat.Style, _ event: LogEvent, metadata: Logger.Metadata, time: Timestamp) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(256)
        switch style {
        case .text:
            time.append(to: &out)
            out.append(UInt8(ascii: " "))
            appendText(event, metadata, to: &out)
        case .journal:
            out += "<\(event.level.syslogPriority)>".utf8
            appendText(event, metadata, to: &out)
        case .json:
            return json(event, metadata, time)
        }
        if out.count >= limit {
            out.removeLast(out.count - (limit - 4))
            out += "...".utf8
        }
        out.append(UInt8(ascii: "\n"))
        return out
    }

    private static func appendText(_ event: LogEvent, _ metadata: Logger.Metadata, to out: inout [UInt8]) {
        out += event.level.name.utf8
        out.append(UInt8(ascii: " "))
        out += SafeText.line(event.message.description.replacing("\n", with: " "), limit: messageLimit).utf8
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            out.append(UInt8(ascii: " "))
            out += SafeText.key(key).utf8
            out.append(UInt8(ascii: "="))
            let text = SafeText.escape(value.description)
            if text.isEmpty || text.utf8.contains(where: needsQuotes) {
                out.append(UInt8(ascii: "\""))
                out += text.replacing("\"", with: "\\\"").utf8
                out.append(UInt8(ascii: "\""))
            } else {
                out += text.utf8
            }
        }
    }

    private static func needsQuotes(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "=") || byte == UInt8(ascii: "\\")
    }

    /// One object a line. Fields that would make the line too long are left out, and `"truncated":true` says so: half an object
    /// is of no use.
    private static func json(_ event: LogEvent, _ metadata: Logger.Metadata, _ time: Timestamp) -> [UInt8] {
        var out = Array("{\"time\":\"".utf8)
        time.append(to: &out)
        out += "\",\"level\":\"\(event.level.rawValue)\",\"message\":".utf8
        appendJSONString(SafeText.line(event.message.description.replacing("\n", with: " "), limit: messageLimit), to: &out)
        let end = Array(",\"truncated\":true}\n".utf8)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            let key = SafeText.key(key)
            let reserved = ["time", "level", "message", "truncated"].contains(key)
            var field = Array(",\"\(reserved ? "_" : "")\(key)\":".utf8)
            appendJSONString(SafeText.line(value.description), to: &field)
            guard out.count + field.count + end.count <= limit else { return out + end }
            out += field
        }
        return out + Array("}\n".utf8)
    }

    /// `text` is printable ASCII already, so only the quote and the backslash need care.
    private static func appendJSONString(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { out.append(UInt8(ascii: "\\")) }
            out.append(byte)
        }
        out.append(UInt8(ascii: "\""))
    }
}

extension SafeText {
    /// A metadata key: letters, digits, `_`, `.` and `-`, at most 64 bytes, everything else `_`.
    fileprivate static func key(_ key: String) -> String {
        let bytes = key.utf8.prefix(64).map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                byte
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Logger.Level {
    /// As a line shows it, padded so that messages stand below each other.
    fileprivate var name: String {
        switch self {
        case .trace: "TRACE   "
        case .debug: "DEBUG   "
        case .info: "INFO    "
        case .notice: "NOTICE  "
        case .warning: "WARNING "
        case .error: "ERROR   "
        case .critical: "CRITICAL"
        }
    }

    /// Severity of RFC 5424, which the journal reads from `<N>` at the start of a line (sd-daemon(3)).
    fileprivate var syslogPriority: Int {
        switch self {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
