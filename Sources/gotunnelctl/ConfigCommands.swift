import Admin
import ArgumentParser
import Foundation
import Identity
import Settings

/// Where a command finds the configuration file.
struct ConfigSource: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The configuration; by default $GOTUNNEL_CONFIG, ./config.yaml, /etc/gotunnel/config.yaml.", valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    static var surroundings: Surroundings { .current(environment: ProcessInfo.processInfo.environment) }

    func locate() throws -> String {
        try ConfigLocator.locate(argument: config, in: Self.surroundings)
    }
}

extension ConfigExamples.Kind: ExpressibleByArgument {}

/// `gotunnelctl config`.
struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check, show and migrate configuration files.",
        subcommands: [Check.self, Example.self, Migrate.self])

    /// `gotunnelctl config check`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether a configuration is right, and what is not.", discussion: "Exits 78 when something is wrong.")

        @Argument(
            help: ArgumentHelp(
                "The configuration; by default $GOTUNNEL_CONFIG, ./config.yaml, /etc/gotunnel/config.yaml.", valueName: "file"),
            completion: .file(extensions: ["yaml", "yml"]))
        var file: String?

        @Flag(help: "Do not read the token and certificate files that it names.")
        var withoutFiles = false

        func run() throws {
            let file = try ConfigLocator.locate(argument: self.file, in: ConfigSource.surroundings)
            let checked = try SettingsLoader.check(path: file, in: ConfigSource.surroundings, readsFiles: !withoutFiles)
            for notice in checked.notices { Console.remark(notice.rendered) }
            let parts = [checked.server == nil ? nil : "server", checked.client == nil ? nil : "client"].compactMap(\.self)
            Console.write("\(SafeText.line(file)): right (\(parts.joined(separator: " and ")))\n")
        }
    }

    /// `gotunnelctl config example`.
    struct Example: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print a configuration to start from, with comments.")

        @Argument(help: "What it is for.")
        var kind: ConfigExamples.Kind

        func run() {
            Console.write(ConfigExamples.text(for: kind))
        }
    }

    /// `gotunnelctl config migrate`.
    struct Migrate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Rewrite a configuration of the original gotunnel.",
            discussion: "The new file goes to standard output (it holds the token if the old one did), remarks to standard error."
        )

        @Argument(
            help: ArgumentHelp("The old configuration.", valueName: "file"), completion: .file(extensions: ["yaml", "yml"]))
        var file: String

        @Option(
            help: ArgumentHelp("Write the new file here, mode 0600; it must not exist.", valueName: "file"), completion: .file())
        var output: String?

        func run() throws {
            let outcome = try ConfigMigration.migrate(text: read(), name: file, in: ConfigSource.surroundings)
            if let output {
                guard !FileManager.default.fileExists(atPath: output) else {
                    throw Failure("\(SafeText.line(output)) exists already; choose another name", exitCode: 64)
                }
                try StateFile.write(Array(outcome.yaml.utf8), to: output, mode: 0o600)
            } else {
                Console.write(outcome.yaml)
            }
            for remark in outcome.remarks { Console.remark(remark) }
        }

        private func read() throws -> String {
            do {
                let contents = try ConfigSource.surroundings.files.read(file, limit: SettingsLoader.largestFile)
                return String(decoding: contents.bytes, as: UTF8.self)
            } catch {
                throw Failure("\(SafeText.line(file)): cannot be read: \(error)", exitCode: 78)
            }
        }
    }
}
