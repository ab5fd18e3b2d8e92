import Admin
import ArgumentParser
import Foundation
import Identity

extension CertificateRole: ExpressibleByArgument {}

/// `gotunnelctl pki`.
struct PKI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pki", abstract: "A small certificate authority, for certificates instead of tokens.",
        subcommands: [Init.self, Issue.self])

    /// `gotunnelctl pki init`.
    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make an authority: ca.crt and ca.key, mode 0600.")

        @Argument(help: ArgumentHelp("Where to keep it; made with mode 0700.", valueName: "dir"), completion: .directory)
        var directory: String

        @Option(help: ArgumentHelp("The cluster's name; part of every certificate.", valueName: "name"))
        var cluster: String

        func run() throws {
            let pki = PKIDirectory(directory)
            try pki.initialise(cluster: cluster, at: Date())
            Console.write("\(SafeText.line(pki.authorityCertificate))\n\(SafeText.line(pki.authorityKey))\n")
            Console.remark("keep ca.key offline if you can; only pki issue needs it")
        }
    }

    /// `gotunnelctl pki issue`.
    struct Issue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Issue a certificate and its key, mode 0600.",
            usage: """
                gotunnelctl pki issue --dir <dir> --role <role> --name <name>
                                      [--host <host> ...] [--days <days>]
                """)

        @Option(
            name: .customLong("dir"), help: ArgumentHelp("The authority's directory.", valueName: "dir"), completion: .directory)
        var directory: String

        @Option(help: "Whose certificate it is.")
        var role: CertificateRole

        @Option(help: ArgumentHelp("The name of the server or client (RFC 1123).", valueName: "name"))
        var name: String

        @Option(
            name: .customLong("host"),
            help: ArgumentHelp("A host name or address that the certificate also names; may be given again.", valueName: "host"))
        var hosts: [String] = []

        @Option(help: ArgumentHelp("How long it is valid.", valueName: "days"))
        var days = CertificateAuthority.issuedDays

        func validate() throws {
            guard (1...3653).contains(days) else { throw ValidationError("--days must be between 1 and 3653.") }
        }

        func run() throws {
            let issued = try PKIDirectory(directory)
                .issue(role: role, name: name.lowercased(), hostNames: hosts, at: Date(), validDays: days)
            Console.write("\(SafeText.line(issued.certificate))\n\(SafeText.line(issued.key))\n")
        }
    }
}
