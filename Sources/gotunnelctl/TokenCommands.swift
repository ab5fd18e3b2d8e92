import Admin
import ArgumentParser
import Foundation
import Identity
import Settings

/// `gotunnelctl token`.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make and list the tokens that clients prove.", subcommands: [New.self, List.self])

    /// `gotunnelctl token new`.
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token.",
            discussion: """
                The token goes to standard output, or with --output to a file of mode 0600. What to write into the server's \
                configuration goes to standard error.

                  gotunnelctl token new --client k8s-worker-01 --output worker-1.token
                """)

        @Option(
            name: .customLong("client"),
            help: ArgumentHelp(
                "A client's name, or a pattern such as k8s-*, that the token is bound to; may be given again.", valueName: "name")
        )
        var clients: [String] = []

        @Option(help: ArgumentHelp("What the configuration calls it; by default the client's name.", valueName: "id"))
        var id: String?

        @Option(help: ArgumentHelp("Write the token to this file, which must not exist.", valueName: "file"), completion: .file())
        var output: String?

        func validate() throws {
            for name in clients where Settings.NamePattern(name) == nil {
                throw ValidationError("\"\(SafeText.line(name, limit: 80))\" is not a client's name or pattern.")
            }
            if let id, Names.label(id) == nil {
                throw ValidationError("An id consists of lower-case letters, digits and inner '-', 63 at most.")
            }
        }

        func run() throws {
            var random = SystemRandomNumberGenerator()
            let token = Token.generate(using: &random)
            if let output {
                guard !FileManager.default.fileExists(atPath: output) else {
                    throw Failure(
                        "\(SafeText.line(output)) exists already; remove it first if it is no longer needed", exitCode: 64)
                }
                try StateFile.write(Array("\(token.reveal())\n".utf8), to: output, mode: 0o600)
                Console.remark("wrote \(SafeText.line(output)) (mode 0600), token id \(token.id)")
            } else {
                Console.write(token.reveal() + "\n")
            }
            for line in advice() { Console.remark(line) }
        }

        private func advice() -> [String] {
            guard !clients.isEmpty else {
                return ["shared: whoever holds it can pose as any client; --client NAME binds a token to one"]
            }
            let name =
                id ?? clients.first.flatMap { Names.label(String($0.filter { $0 != "*" }.trimmingSuffix("-"))) } ?? "clients"
            let bound = clients.map { "\"\(SafeText.line($0))\"" }.joined(separator: ", ")
            let path = output.map { SafeText.line($0) } ?? "/etc/gotunnel/\(name).token"
            return [
                "in the server's configuration:", "  tokens:",
                "    - {id: \(name), token_file: \"\(path)\", clients: [\(bound)]}",
            ]
        }
    }

    /// `gotunnelctl token list`.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The tokens of a server's configuration, without their secrets.")

        @OptionGroup var source: ConfigSource
        @OptionGroup var output: Output

        private struct Row: Encodable {
            /// What the wire and the log call it.
            var tokenId: String
            /// What the configuration calls it.
            @OrNull var id: String?
            /// Empty: shared.
            var clients: [String]
            var strength: String
        }

        func run() throws {
            let surroundings = ConfigSource.surroundings
            let settings = try SettingsLoader.loadServer(path: source.locate(), in: surroundings).settings
            let rows = try settings.tokens.map { entry in
                let secret = try entry.source.read(in: surroundings)
                let token = try Token(secret.reveal(), allowWeak: true)
                return Row(
                    tokenId: token.id, id: entry.id, clients: entry.clients.map(\.text), strength: strength(token))
            }
            if output.json { return Console.write(try AdminJSON.encode(rows) + Array("\n".utf8)) }
            var table = Table([.init("TOKEN"), .init("ID"), .init("CLIENTS"), .init("STRENGTH")])
            for row in rows {
                table.add([
                    row.tokenId, row.id ?? "", row.clients.isEmpty ? "any (shared)" : row.clients.joined(separator: ", "),
                    row.strength,
                ])
            }
            show(table, empty: "no tokens")
        }

        private func strength(_ token: Token) -> String {
            switch token.strength {
            case .generated: "generated"
            case .hexDigits: "hex digits"
            case .weak: "WEAK"
            }
        }
    }
}

extension String {
    /// Without any of `character` at its end.
    fileprivate func trimmingSuffix(_ character: Character) -> Substring {
        var rest = self[...]
        while rest.last == character { rest.removeLast() }
        return rest
    }
}
