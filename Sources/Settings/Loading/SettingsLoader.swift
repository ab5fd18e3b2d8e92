/// Settings read from a file, with what to say about them at start.
package struct LoadedSettings<Settings: Sendable>: Sendable {
    /// The section that was asked for, complete.
    package let settings: Settings
    /// One line each, in the order of the file.
    package let notices: [Notice]
    /// The file, as the user named it.
    package let path: String
}

/// What a checked file holds.
package struct CheckedSettings: Sendable {
    /// The `server` section, if there is one.
    package let server: ServerSettings?
    /// The `client` section, if there is one.
    package let client: ClientSettings?
    /// One line each, in the order of the file.
    package let notices: [Notice]
}

/// Reads `config.yaml`. Whatever is wrong with it comes as one `SettingsError` that holds every problem found.
package enum SettingsLoader {
    /// The largest configuration file, in bytes.
    package static let largestFile = 1 << 20

    /// The `server` section of a file. A `client` section beside it must be right too. The secret files that it names are tried.
    package static func loadServer(
        path: String, in surroundings: Surroundings
    ) throws(SettingsError) -> LoadedSettings<ServerSettings> {
        let file = try read(path, in: surroundings)
        let decoded = try FileDecoder(file, surroundings, wanted: .server, readsFiles: true).decode()
        guard let server = decoded.server else { throw missing(.server, file) }
        return LoadedSettings(settings: server, notices: decoded.notices, path: path)
    }

    /// The `client` section of a file. A `server` section beside it must be right too. The secret files that it names are tried.
    package static func loadClient(
        path: String, in surroundings: Surroundings
    ) throws(SettingsError) -> LoadedSettings<ClientSettings> {
        let file = try read(path, in: surroundings)
        let decoded = try FileDecoder(file, surroundings, wanted: .client, readsFiles: true).decode()
        guard let client = decoded.client else { throw missing(.client, file) }
        return LoadedSettings(settings: client, notices: decoded.notices, path: path)
    }

    /// Whatever sections a file has. Files that it names are tried when `readsFiles` says so (they may not be readable by, or
    /// not even be on the machine of, whoever checks).
    package static func check(
        path: String, in surroundings: Surroundings, readsFiles: Bool = true
    ) throws(SettingsError) -> CheckedSettings {
        let file = try read(path, in: surroundings)
        return try FileDecoder(file, surroundings, wanted: nil, readsFiles: readsFiles).decode()
    }

    /// As `check`, of a text that was read already; `name` stands for the file in messages.
    package static func check(
        text: String, name: String, in surroundings: Surroundings, readsFiles: Bool = false
    ) throws(SettingsError) -> CheckedSettings {
        try FileDecoder(
            ConfigFile(name: name, text: text, isOpenToOthers: false), surroundings, wanted: nil, readsFiles: readsFiles
        ).decode()
    }

    private static func read(_ path: String, in surroundings: Surroundings) throws(SettingsError) -> ConfigFile {
        let contents: FileContents
        do {
            contents = try surroundings.files.read(path, limit: largestFile)
        } catch {
            throw SettingsError([Problem(file: path, line: nil, key: nil, wrong: "cannot be read: \(error)", mend: error.mend)])
        }
        guard let text = String(validating: contents.bytes, as: UTF8.self) else {
            let line = ConfigFile.lineOfFirstBadByte(contents.bytes)
            throw SettingsError([Problem(file: path, line: line, key: nil, wrong: "not UTF-8 text", mend: "save it as UTF-8")])
        }
        return ConfigFile(name: path, text: text, isOpenToOthers: contents.isReadableByOthers)
    }

    private static func missing(_ role: Role, _ file: ConfigFile) -> SettingsError {
        SettingsError([
            Problem(
                file: file.name, line: 1, key: role.rawValue, wrong: "the section is missing",
                mend: "see gotunnelctl config example \(role.rawValue)")
        ])
    }
}

/// The text of a configuration file.
struct ConfigFile {
    let name: String
    let text: String
    /// Whether the group or others may read it.
    let isOpenToOthers: Bool

    /// The line of the first byte that is not UTF-8.
    static func lineOfFirstBadByte(_ bytes: [UInt8]) -> Int {
        // Lines are whole in UTF-8 text, so the first line that is not valid by itself holds the byte.
        let lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
        return 1 + (lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0)
    }
}

/// Decodes one file: the document, then its sections.
private struct FileDecoder {
    let file: ConfigFile
    let surroundings: Surroundings
    /// The section that the process needs; nil when all are checked alike.
    let wanted: Role?
    let readsFiles: Bool

    init(_ file: ConfigFile, _ surroundings: Surroundings, wanted: Role?, readsFiles: Bool) {
        self.file = file
        self.surroundings = surroundings
        self.wanted = wanted
        self.readsFiles = readsFiles
    }

    func decode() throws(SettingsError) -> CheckedSettings {
        let report = Report(file: file.name)
        guard let root = ConfigDocument.parse(file.text, report: report),
            let top = Section(root, path: "", line: 1, report: report)
        else {
            try report.throwIfAnything()
            throw SettingsError([
                Problem(file: file.name, line: 1, key: nil, wrong: "it cannot be parsed", mend: "compare it with an example")
            ])
        }
        let server = top.section("server").map { ServerDecoder($0, context(.server)).decode() }
        let client = top.section("client").map { ClientDecoder($0, context(.client)).decode() }
        top.finish(elsewhere: SettingsKeys.place)
        if !top.has("server"), !top.has("client"), report.count == 0 {
            report.problem(1, nil, "neither a server nor a client section", "see gotunnelctl config example server (or client)")
        }
        try report.throwIfAnything()
        checkSecrets(server, report, line: top.line(of: "server"))
        try report.throwIfAnything()
        noteOpenFile(server, client, report, top)
        let notices = report.notices.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(
            \.element)
        return CheckedSettings(server: server, client: client, notices: notices.filter(isWanted))
    }

    private func context(_ role: Role) -> DecodingContext {
        DecodingContext(role: role, surroundings: surroundings, readsFiles: readsFiles && (wanted ?? role) == role)
    }

    /// A process says nothing about the other one's section.
    private func isWanted(_ notice: Notice) -> Bool {
        guard let wanted else { return true }
        return notice.key == wanted.rawValue || notice.key.hasPrefix("\(wanted.rawValue).")
    }

    /// Refuses a cluster secret that equals a token: who may be a client would be a peer.
    private func checkSecrets(_ server: ServerSettings?, _ report: Report, line: Int) {
        guard let server, let cluster = server.cluster else { return }
        func isKnown(_ source: SecretSource) -> Bool { if case .inline = source { true } else { context(.server).readsFiles } }
        let tokens = Set(server.tokens.map(\.source).filter(isKnown).compactMap { try? $0.read(in: surroundings) })
        let secrets = cluster.secrets.filter(isKnown).compactMap { try? $0.read(in: surroundings) }
        guard secrets.contains(where: tokens.contains) else { return }
        report.problem(
            line, "server.cluster", "a cluster secret is the same as a token", "make another with openssl rand -hex 32")
    }

    /// Says that others may read a file with a secret in it. The original asked for no better, so it is not refused.
    private func noteOpenFile(_ server: ServerSettings?, _ client: ClientSettings?, _ report: Report, _ top: Section) {
        guard file.isOpenToOthers else { return }
        func isInline(_ source: SecretSource?) -> Bool { if case .inline = source { true } else { false } }
        let path = PrintableText.clean(file.name)
        let text = "the file holds a secret and is readable by others than its owner; run chmod 600 \(path), or use token_file"
        let serverSecrets = (server?.tokens.map(\.source) ?? []) + (server?.cluster?.secrets ?? [])
        if serverSecrets.contains(where: isInline) { report.notice(top.line(of: "server"), "server", text) }
        if isInline(client?.token) { report.notice(top.line(of: "client"), "client", text) }
    }
}
