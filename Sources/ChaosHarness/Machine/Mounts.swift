import Foundation

/// The file systems that this process sees.
enum Mounts {
    struct Mount: Equatable {
        var path: String
        var type: String
        var source: String
        /// Of the file system itself, such as the controllers of a control group.
        var options: [String]
    }

    static func now() -> [Mount] {
        self.parse((try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? "")
    }

    /// Of mountinfo as proc_pid_mountinfo(5) has it. Pure.
    static func parse(_ text: String) -> [Mount] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ").map(String.init)
            guard let dash = fields.firstIndex(of: "-"), dash > 4, fields.count > dash + 3 else { return nil }
            return Mount(
                path: self.plain(fields[4]), type: fields[dash + 1], source: self.plain(fields[dash + 2]),
                options: fields[dash + 3].split(separator: ",").map(String.init))
        }
    }

    /// Spaces and their like are written in octal: `\040`.
    private static func plain(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3, let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
