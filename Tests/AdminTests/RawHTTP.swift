import Dispatch
import Foundation
import Testing

@testable import Admin

/// The barest HTTP client: sends the text it is given and reads until the server closes. Blocking calls, on a thread of their
/// own.
enum RawHTTP {
    struct Answer: Sendable {
        /// 0 when the server closed without an answer.
        var status: Int
        var head: String
        var body: String
    }

    static func connect(unix path: String) throws -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        try #require(UnixSocket.withAddress(path) { Foundation.connect(descriptor, $0, $1) } == 0)
        return descriptor
    }

    static func unix(_ path: String, _ text: String) async throws -> Answer {
        try await exchange(connect(unix: path), text)
    }

    static func tcp(_ place: String, _ text: String) async throws -> Answer {
        let parts = place.split(separator: ":")
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = try #require(UInt16(parts[1])).bigEndian
        try #require(inet_pton(AF_INET, String(parts[0]), &address.sin_addr) == 1)
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0)
        return await exchange(descriptor, text)
    }

    private static func exchange(_ descriptor: CInt, _ text: String) async -> Answer {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                let bytes = Array(text.utf8)
                var sent = 0
                while sent < bytes.count {
                    let count = bytes[sent...].withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
                    if count <= 0 { break }
                    sent += count
                }
                var received: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65_536)
                while true {
                    let count = recv(descriptor, &buffer, buffer.count, 0)
                    if count <= 0 { break }
                    received += buffer[0..<count]
                }
                close(descriptor)
                continuation.resume(returning: parse(String(decoding: received, as: UTF8.self)))
            }
        }
    }

    private static func parse(_ text: String) -> Answer {
        guard let blank = text.range(of: "\r\n\r\n") else { return Answer(status: 0, head: text, body: "") }
        let head = String(text[..<blank.lowerBound])
        let status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return Answer(status: status, head: head.lowercased(), body: String(text[blank.upperBound...]))
    }
}

/// A fresh directory with a short path (a socket's may have 107 bytes), removed at the end.
func withDirectory(_ body: (String) async throws -> Void) async throws {
    let path = try makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
}

func inDirectory(_ body: (String) throws -> Void) throws {
    let path = try makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
}

private func makeDirectory() throws -> String {
    let path = NSTemporaryDirectory() + "/admin-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}
