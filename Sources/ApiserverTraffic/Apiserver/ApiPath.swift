import NIOCore

/// What is asked of an apiserver.
enum ApiPath: Sendable, Equatable {
    case ready
    case echo(id: String)
    case list(id: String, blocks: UInt64)
    case watch(from: UInt64)
    case upload(id: String)

    private static let longestID = 200

    /// Nil: none of them.
    init?(_ uri: String) {
        let parts = uri.split(separator: "?", maxSplits: 1)
        var fields: [Substring: Substring] = [:]
        for field in (parts.count > 1 ? parts[1] : "").split(separator: "&").prefix(8) {
            let pair = field.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { fields[pair[0]] = pair[1] }
        }
        let id = String((fields["id"] ?? "").prefix(Self.longestID))
        switch parts.first {
        case "/readyz": self = .ready
        case "/api/v1/echo": self = .echo(id: id)
        case "/api/v1/list":
            guard let blocks = fields["blocks"].flatMap({ UInt64($0) }), blocks > 0 else { return nil }
            self = .list(id: id, blocks: blocks)
        case "/api/v1/watch":
            guard let from = fields["from"].flatMap({ UInt64($0) }) else { return nil }
            self = .watch(from: from)
        case "/api/v1/upload": self = .upload(id: id)
        default: return nil
        }
    }

    var uri: String {
        switch self {
        case .ready: "/readyz"
        case .echo(let id): "/api/v1/echo?id=\(id)"
        case .list(let id, let blocks): "/api/v1/list?id=\(id)&blocks=\(blocks)"
        case .watch(let from): "/api/v1/watch?from=\(from)"
        case .upload(let id): "/api/v1/upload?id=\(id)"
        }
    }

    static let exec = "/api/v1/exec"

    /// The whole answer to an echo.
    static func echoBlock(_ id: String) -> Block { Block(key: Block.key(of: id), number: 1, length: 256) }
}
