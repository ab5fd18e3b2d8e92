/// One entry of the journal as a list of fields (systemd.journal-fields(7)).
package struct JournalEntry: Equatable, Sendable {
    /// One line of printable ASCII, at most ``messageLimit`` bytes.
    package let message: String
    package let priority: Priority
    /// See ``JournalEvent/id``.
    package let id: String?
    /// In the order of their names, which begin with ``prefix``.
    package private(set) var fields: [Field]

    /// Severity of RFC 5424, section 6.2.1.
    package enum Priority: Int, Sendable, Comparable {
        case critical = 2
        case error, warning, notice, info, debug

        package static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
    }

    package struct Field: Equatable, Sendable {
        package let name: String
        package let value: String
    }

    /// Of the fields that are ours alone.
    package static let prefix = "GOTUNNEL_"
    package static let messageLimit = 2000
    /// More are dropped.
    package static let fieldLimit = 48
    /// journald refuses longer names.
    private static let nameLimit = 64

    /// - Parameter fields: names in any spelling and their values, which may be text from outside. Of two that come out with
    ///   the same name, one is kept.
    package init(message: String, priority: Priority, id: String? = nil, fields: [String: String] = [:]) {
        self.message = OneLine.clean(message, limit: Self.messageLimit)
        self.priority = priority
        self.id = id
        var named: [String: String] = [:]
        for (key, value) in fields.sorted(by: { $0.key < $1.key }).prefix(Self.fieldLimit) {
            named[Self.fieldName(key)] = OneLine.clean(value)
        }
        self.fields = named.sorted { $0.key < $1.key }.map { Field(name: $0.key, value: $0.value) }
    }

    /// As journald takes it: `NAME=value`, one of each.
    var assignments: [String] {
        var all = ["MESSAGE=\(self.message)", "PRIORITY=\(self.priority.rawValue)"]
        if let id { all.append("MESSAGE_ID=\(id)") }
        return all + self.fields.map { "\($0.name)=\($0.value)" }
    }

    /// `GOTUNNEL_` and the key in upper case; what is neither a letter nor a digit becomes `_`.
    static func fieldName(_ key: String) -> String {
        let letters = key.utf8.prefix(Self.nameLimit - Self.prefix.utf8.count).map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 32
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
            default: UInt8(ascii: "_")
            }
        }
        return Self.prefix + String(decoding: letters, as: UTF8.self)
    }
}
