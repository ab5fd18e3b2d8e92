/// What decoding a section needs beside the section.
struct DecodingContext {
    let role: Role
    let surroundings: Surroundings
    /// Whether the files that the section names are tried, so that a missing one is reported with the line that names it.
    let readsFiles: Bool
}

/// The bounds of durations and sizes that both sections share, and of lists that have to fit into one message.
enum Bounds {
    /// Servers that one client may name, and peers of one server: as many as a server can announce.
    static let servers = 64
    /// Addresses that a server can announce for itself.
    static let advertised = 8
    /// Services of one server: with the longest of names, so many fit into their announcement.
    static let services = 200
    /// Exposures of one client: with the longest of names, so many fit into its registration.
    static let exposures = 254
    static let dial = Duration.milliseconds(10)...Duration.seconds(300)
    static let replayBuffer = (128 << 10)...(1 << 30)
    static let memoryBudget = (1 << 20)...(1 << 40)
}

extension Section {
    /// `name`, else the host's name.
    func processName(_ context: DecodingContext) -> String {
        if let name = value("name", .processName) { return name }
        if has("name") { return "unnamed" }
        if let name = Names.processName(context.surroundings.hostName) { return name }
        report.problem(
            line, keyPath("name"),
            "it is not given, and the host's name \(PrintableText.quoted(context.surroundings.hostName)) is no name",
            "write name: \(Names.suggestion(for: context.surroundings.hostName))")
        return "unnamed"
    }

    /// `log_level`, `log_format`, `log_lang`.
    func logSettings() -> LogSettings {
        var log = LogSettings()
        log.level =
            value("log_level", .word(LogLevel.self, example: "info", also: ["warn": .warning, "fatal": .critical])) ?? log.level
        log.format = value("log_format", .word(LogFormat.self, example: "auto")) ?? log.format
        log.language = value("log_lang", .word(LogLanguage.self, example: "en"))
        if log.language != nil {
            report.notice(line(of: "log_lang"), keyPath("log_lang"), "messages are English; log_lang changes nothing")
        }
        return log
    }

    /// `state_dir`, else the default of the role.
    func stateDirectory(_ context: DecodingContext) -> String {
        value("state_dir", .path("/var/lib/gotunnel")) ?? context.surroundings.stateDirectory(for: context.role)
    }

    /// `admin`, and its TCP address with its place.
    func adminSettings(_ context: DecodingContext) -> (settings: AdminSettings, address: Found<HostPort>?) {
        var settings = AdminSettings(socket: context.surroundings.adminSocket(for: context.role))
        guard let admin = section("admin") else { return (settings, nil) }
        settings.socket = admin.value("socket", .socketPath) ?? settings.socket
        let address = admin.found("addr", .listenAddress(context.role == .server ? "127.0.0.1:17080" : "127.0.0.1:17081"))
        settings.address = address?.value
        admin.finish()
        return (settings, address)
    }

    /// `resume_window`: two durations, the shorter one first.
    func resumeWindow() -> ResumeWindow {
        var window = ResumeWindow()
        guard let parts = list("resume_window", .duration(.zero...Duration.seconds(3_600), example: "30s"), example: "[5s, 30s]")
        else { return window }
        guard parts.count == 2, parts[0].value <= parts[1].value else {
            // Items that were wrong in themselves are in the report already.
            if case .list(let items) = node("resume_window")?.content, items.count != parts.count { return window }
            report.problem(
                line(of: "resume_window"), keyPath("resume_window"), "expected two durations, the shorter one first",
                "write resume_window: [5s, 30s]")
            return window
        }
        window.withOtherLinks = parts[0].value
        window.alone = parts[1].value
        return window
    }

    /// `replay_buffer`, else its default.
    func replayBuffer(else normal: Int) -> Int { value("replay_buffer", .size(Bounds.replayBuffer, example: "16MiB")) ?? normal }

    /// `dial_timeout`, else its default.
    func dialTimeout(else normal: Duration) -> Duration { value("dial_timeout", .duration(Bounds.dial, example: "3s")) ?? normal }

    /// Reports a memory budget that cannot hold one session's replay buffer.
    func checkBudget(_ budget: Int, holds replayBuffer: Int) {
        guard budget < replayBuffer else { return }
        let key = has("limits") ? "limits" : "replay_buffer"
        report.problem(
            line(of: key), keyPath("limits") + ".memory_budget",
            "\(ByteSize.format(budget)) is less than replay_buffer, \(ByteSize.format(replayBuffer))",
            "write memory_budget: \(ByteSize.format(replayBuffer)) or more")
    }

    // MARK: Files and secrets

    /// The path under a key; when files are read, one that cannot be is reported.
    func file(_ key: String, _ example: String, isPrivate: Bool = false, _ context: DecodingContext) -> String? {
        guard let found = found(key, .path(example)).flatMap({ expanded($0, context) }) else { return nil }
        guard context.readsFiles else { return found.value }
        if isPrivate {
            do { _ = try SecretSource.privateBytes(found.value, in: context.surroundings, limit: 1 << 20) } catch {
                report.problem(found.line, found.path, error.wrong, error.mend)
            }
        } else {
            do { _ = try context.surroundings.files.read(found.value, limit: 1 << 20) } catch {
                report.problem(found.line, found.path, "cannot read \(PrintableText.clean(found.value)): \(error)", error.mend)
            }
        }
        return found.value
    }

    /// A path that may begin with `$CREDENTIALS_DIRECTORY`, where systemd puts the secrets of a service.
    private func expanded(_ path: Found<String>, _ context: DecodingContext) -> Found<String>? {
        let variable = "CREDENTIALS_DIRECTORY"
        guard let prefix = ["$\(variable)/", "${\(variable)}/"].first(where: path.value.hasPrefix) else { return path }
        guard let directory = context.surroundings.variable(variable) else {
            if context.readsFiles {
                report.problem(
                    path.line, path.path, "$\(variable) is not set: no service manager has loaded credentials for this process",
                    "add LoadCredential= to the unit, or name the file itself")
            }
            return context.readsFiles ? nil : path
        }
        return Found(value: "\(directory)/\(path.value.dropFirst(prefix.count))", line: path.line, path: path.path)
    }

    /// The secret of one of two keys, such as `token` and `token_file`; nil when neither is there (or both are: reported).
    func secretSource(_ inlineKey: String, _ fileKey: String, _ context: DecodingContext) -> Found<SecretSource>? {
        let inline = found(inlineKey, .secret).map { Found<SecretSource>(value: .inline($0.value), line: $0.line, path: $0.path) }
        let file = found(fileKey, .path("/etc/gotunnel/\(inlineKey)")).flatMap { expanded($0, context) }
            .map { Found<SecretSource>(value: .file($0.value), line: $0.line, path: $0.path) }
        if has(inlineKey), has(fileKey) {
            report.problem(
                line(of: fileKey), keyPath(fileKey), "\(inlineKey) and \(fileKey) are both given", "remove one of the two")
            return nil
        }
        if let file, context.readsFiles {
            do { _ = try file.value.read(in: context.surroundings) } catch {
                report.problem(file.line, file.path, error.wrong, error.mend)
            }
        }
        return inline ?? file
    }

    /// Says what comes of a weak token written in the file, and of one that others may read with the file.
    func noteStrength(of source: Found<SecretSource>, weakAllowed: Bool) {
        guard case .inline(let secret) = source.value, !secret.isStrong else { return }
        report.notice(
            source.line, source.path,
            weakAllowed
                ? "this token is weak, and allow_weak_token lets it pass: anyone who can guess it is in"
                : "this token is weak, and a weak token is refused at start: put one here from openssl rand -hex 32 or gotunnelctl token new "
                    + "(the same on both ends), or write allow_weak_token: true")
    }
}
