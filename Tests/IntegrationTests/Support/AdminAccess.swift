/// The admin API of a daemon: HTTP on its Unix socket, and `gotunnelctl` as a user calls it.
struct AdminAccess: Sendable {
    let socket: String

    struct Answer: Sendable {
        let status: Int
        let body: String
    }

    /// One request, `GET` unless told otherwise.
    func request(_ path: String, method: String = "GET", body: String = "") async throws -> Answer {
        try await Self.exchange(try await TestConnection.connect(unix: self.socket), path, method, body)
    }

    /// The same on a TCP address of 127.0.0.1.
    static func request(port: Int, _ path: String, method: String = "GET", body: String = "") async throws -> Answer {
        try await exchange(try await TestConnection.connect(port: port), path, method, body)
    }

    private static func exchange(
        _ connection: TestConnection, _ path: String, _ method: String, _ body: String
    ) async throws -> Answer {
        try await connection.use { connection in
            try await connection.write(
                "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            )
            let text = String(decoding: try await connection.readToEnd(), as: UTF8.self)
            let words = text.prefix { $0 != "\r\n" }.split(separator: " ")
            guard words.count > 1, let status = Int(words[1]), let gap = text.range(of: "\r\n\r\n") else {
                throw Unmet("expected an HTTP answer to \(method) \(path), got: \(text.prefix(300))")
            }
            return Answer(status: status, body: String(text[gap.upperBound...]))
        }
    }

    func isReady() async throws -> Bool { try await self.request("/readyz").status == 200 }

    /// `gotunnelctl ARGUMENTS --json`.
    func json(_ arguments: String...) async throws -> JSON {
        try JSON(try await runWell(try Programs.ctl, arguments + ["--json", "--socket", self.socket]))
    }

    /// `gotunnelctl ARGUMENTS`.
    func ctl(_ arguments: String..., within limit: Duration = .seconds(40)) async throws -> CommandResult {
        try await run(try Programs.ctl, arguments + ["--socket", self.socket], within: limit)
    }

    /// `/v1/status`, without starting a program.
    func status() async throws -> JSON { try JSON(try await self.request("/v1/status").body) }

    /// The value of one series of `/metrics`, such as `gotunnel_streams` or `gotunnel_links{state="active"}`; nil when absent.
    func metric(_ series: String) async throws -> Double? {
        let text = try await self.request("/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix("\(series) ") }
        return line.flatMap { Double($0.dropFirst(series.utf8.count + 1)) }
    }
}
