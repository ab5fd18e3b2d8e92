import Foundation
import Settings
import Testing

@Suite struct LoadingTests {
    private static let both = """
        server: {token_file: /etc/token}
        client: {token_file: /etc/token, server_addr: "a:1", log_lang: en}
        """

    private func loaded(_ files: MemoryFiles, _ environment: [String: String] = [:]) throws -> LoadedSettings<ServerSettings> {
        try SettingsLoader.loadServer(path: "c.yaml", in: surroundings(environment, files: files))
    }

    private func lines(_ files: MemoryFiles, _ environment: [String: String] = [:]) -> [String] {
        do {
            _ = try loaded(files, environment)
            return []
        } catch let error as SettingsError {
            return error.lines
        } catch {
            return ["\(error)"]
        }
    }

    @Test func aFileMayHoldBothSectionsAndEachProcessHearsOfItsOwn() throws {
        let files = MemoryFiles(["c.yaml": Self.both, "/etc/token": "\(strongToken)\n"])
        let server = try loaded(files)
        #expect(server.path == "c.yaml" && server.notices.isEmpty && server.settings.tokens.count == 1)
        let client = try SettingsLoader.loadClient(path: "c.yaml", in: surroundings(files: files))
        #expect(client.notices.map(\.key) == ["client.log_lang"])
        #expect(client.settings.servers.count == 1)
    }

    @Test func theOtherSectionMustBeRightToo() {
        let files = MemoryFiles(["c.yaml": "server: {token: \(strongToken)}\nclient: {token: \(strongToken)}"])
        #expect(
            lines(files) == [
                "c.yaml:2: client.server_addrs: there is no server to connect to; write server_addrs: [\"203.0.113.11:17000\"]"
            ])
    }

    @Test func theWantedSectionMustBeThere() {
        let files = MemoryFiles(["c.yaml": "client: {token: \(strongToken), server_addr: \"a:1\"}"])
        #expect(lines(files) == ["c.yaml:1: server: the section is missing; see gotunnelctl config example server"])
    }

    @Test(arguments: [
        (FileTrouble.missing, "cannot be read: there is no such file; create it or mend the path"),
        (.isDirectory, "cannot be read: it is a directory; name the file inside it"),
        (.permissionDenied, "cannot be read: permission denied; run as its owner, or change its owner with chown"),
        (.tooLarge(limit: 1 << 20), "cannot be read: it is larger than 1MiB; check that the path is right"),
    ])
    func aFileThatCannotBeRead(_ trouble: FileTrouble, _ says: String) {
        var files = MemoryFiles()
        files.troubles["c.yaml"] = trouble
        #expect(lines(files) == ["c.yaml: \(says)"])
    }

    @Test func aFileThatIsNotUTF8() {
        var files = MemoryFiles()
        files.files["c.yaml"] = FileContents(bytes: Array("server:\n  name: ".utf8) + [0xff, 0x0a], mode: 0o600)
        #expect(lines(files) == ["c.yaml:2: not UTF-8 text; save it as UTF-8"])
    }

    @Test func theFilesThatItNamesAreTried() {
        var files = MemoryFiles([
            "c.yaml": "server:\n  token_file: /etc/none\n  tls:\n    certificate: /etc/dir\n    key: /etc/open.key\n",
            "/etc/open.key": "key",
        ])
        files.files["/etc/open.key"] = FileContents(bytes: [1], mode: 0o640)
        files.troubles["/etc/dir"] = .isDirectory
        #expect(
            lines(files) == [
                "c.yaml:2: server.token_file: cannot read /etc/none: there is no such file; create it or mend the path",
                "c.yaml:4: server.tls.certificate: cannot read /etc/dir: it is a directory; name the file inside it",
                "c.yaml:5: server.tls.key: /etc/open.key is readable by others than its owner; run chmod 600 /etc/open.key",
            ])
    }

    @Test func aSecretInAFileThatOthersMayReadIsSaid() throws {
        let files = MemoryFiles(["c.yaml": "server:\n  token: \(strongToken)\n  drain_timeout: 1s\n"], mode: 0o644)
        #expect(
            try loaded(files).notices.map(\.rendered) == [
                "c.yaml:1: server: the file holds a secret and is readable by others than its owner; run chmod 600 c.yaml, or use token_file"
            ])
    }

    @Test func aClusterSecretInAFileMustNotBeAToken() {
        let text = "server:\n  token_file: /t\n  cluster: {peers: [\"a:1\"], secret_file: /s}\n"
        let files = MemoryFiles(["c.yaml": text, "/t": strongToken, "/s": "\(strongToken)\n"])
        #expect(
            lines(files) == [
                "c.yaml:1: server.cluster: a cluster secret is the same as a token; make another with openssl rand -hex 32"
            ])
        #expect(lines(MemoryFiles(["c.yaml": text, "/t": strongToken, "/s": otherToken])).isEmpty)
    }

    @Test func checkingCanLeaveTheNamedFilesAlone() throws {
        let files = MemoryFiles(["c.yaml": Self.both])
        let checked = try SettingsLoader.check(path: "c.yaml", in: surroundings(files: files), readsFiles: false)
        #expect(checked.server != nil && checked.client != nil)
        #expect(throws: SettingsError.self) { try SettingsLoader.check(path: "c.yaml", in: surroundings(files: files)) }
    }
}

@Suite struct SecretTests {
    private func trouble(_ source: SecretSource, _ files: MemoryFiles, _ environment: [String: String] = [:]) -> String? {
        do {
            _ = try source.read(in: surroundings(environment, files: files))
            return nil
        } catch {
            return error.description
        }
    }

    @Test func aSecretNeverShows() throws {
        let secret = Secret(strongToken)
        var dumped = ""
        dump(secret, to: &dumped)
        dump(SecretSource.inline(secret), to: &dumped)
        dump(try server("server: {token: \(strongToken)}"), to: &dumped)
        let shown = "\(secret) \(String(reflecting: secret)) \(SecretSource.inline(secret)) \(dumped)"
        #expect(!shown.contains(strongToken.prefix(8)))
        #expect(shown.contains("<secret>"))
        #expect(secret.reveal() == strongToken)
    }

    @Test func aSecretInTheWrongPlaceIsNotRepeated() {
        let wrongs = [
            "server: {token_file: \(strongToken)}", "server: {token: [\(strongToken)]}", "server: {tokens: [\(strongToken)]}",
            "server: {tokens: \(strongToken)}", "server: {token: \"\(strongToken) x\"}", "server: {name: gt1_a_\(strongToken)}",
            "server: {token: a, log_level: \(strongToken)}", "server: \(strongToken)", "server: {\(strongToken): a}", strongToken,
            "server: {token: \(strongToken), \(strongToken)", "server: {services: {\(strongToken): 1}}",
            "server: {addr: \"\(strongToken)\"}", "server: {clients: {\"\(strongToken)\": 1}}",
            "server: {token:\n  - \(strongToken)\n a",
        ]
        for wrong in wrongs {
            let lines = problems(wrong)
            #expect(!lines.isEmpty, "\(wrong)")
            #expect(!lines.joined().contains(strongToken.prefix(12)), "\(lines)")
        }
    }

    @Test func files() {
        var files = MemoryFiles(["/t": " \(strongToken)\r\n", "/empty": "\n", "/two": "a b"])
        #expect(trouble(.file("/t"), files) == nil)
        #expect(trouble(.file("/none"), files) == "cannot read /none: there is no such file; create it or mend the path")
        #expect(trouble(.file("/empty"), files) == "/empty is empty; run gotunnelctl token new")
        #expect(
            trouble(.file("/two"), files)
                == "/two holds more than one word, or bytes that are not printable; keep the secret alone in it, on one line")
        files.files["/big"] = FileContents(bytes: [UInt8](repeating: 0x61, count: 5_000), mode: 0o600)
        #expect(trouble(.file("/big"), files) == "cannot read /big: it is larger than 4KiB; check that the path is right")
    }

    @Test func filesOfOthersAreRefusedButCredentialsAreNot() {
        let files = MemoryFiles(
            ["/run/cred/token": strongToken, "/run/credentials/token": strongToken, "/t": strongToken], mode: 0o440)
        let around = ["CREDENTIALS_DIRECTORY": "/run/cred/"]
        #expect(trouble(.file("/t"), files, around) == "/t is readable by others than its owner; run chmod 600 /t")
        #expect(trouble(.file("/run/cred/token"), files, around) == nil)
        #expect(trouble(.file("/run/cred/token"), files) != nil)
        #expect(trouble(.file("/run/credentials/token"), files, around) != nil)
        var outside = files
        outside.files["/run/cred/../t"] = files.files["/t"]
        #expect(trouble(.file("/run/cred/../t"), outside, around) != nil)
        let world = MemoryFiles(["/t": strongToken], mode: 0o604)
        #expect(trouble(.file("/t"), world) != nil)
    }

    @Test func theVariable() throws {
        #expect(trouble(.environment, MemoryFiles()) == "$GOTUNNEL_TOKEN is not set; set it, or name a token_file")
        #expect(trouble(.environment, MemoryFiles(), ["GOTUNNEL_TOKEN": strongToken]) == nil)
    }

    @Test func strength() {
        #expect(Secret(strongToken).isStrong)
        #expect(Secret(strongToken.uppercased() + "ab").isStrong)
        #expect(Secret("gt1_worker-1_" + String(repeating: "A", count: 43)).isStrong)
        for weak in [
            "", "your-very-secure-k8s-token-here", String(strongToken.dropLast()), "gt1_x", "gt1__" + strongToken, "gt1_a_b",
        ] {
            #expect(!Secret(weak).isStrong, "\(weak)")
        }
    }
}

@Suite struct SurroundingsTests {
    @Test func theConfigurationIsFoundWhereItIsNamedElseInTheUsualPlaces() throws {
        let here = surroundings(files: MemoryFiles(["config.yaml": "", "/etc/gotunnel/config.yaml": ""]))
        #expect(try ConfigLocator.locate(argument: "x.yaml", in: here) == "x.yaml")
        #expect(try ConfigLocator.locate(argument: nil, in: here) == "config.yaml")
        let named = surroundings(["GOTUNNEL_CONFIG": "y.yaml"], files: MemoryFiles(["config.yaml": ""]))
        #expect(try ConfigLocator.locate(argument: nil, in: named) == "y.yaml")
        #expect(try ConfigLocator.locate(argument: "x.yaml", in: named) == "x.yaml")
        let installed = surroundings(files: MemoryFiles(["/etc/gotunnel/config.yaml": ""]))
        #expect(try ConfigLocator.locate(argument: nil, in: installed) == "/etc/gotunnel/config.yaml")
        let error = #expect(throws: SettingsError.self) { try ConfigLocator.locate(argument: nil, in: surroundings()) }
        #expect(
            error?.lines == [
                "config.yaml: no configuration: looked for config.yaml and /etc/gotunnel/config.yaml; write one (gotunnelctl config "
                    + "example server or client) or name it with --config"
            ])
    }

    @Test func runtimeAndStateDirectories() {
        var around = surroundings()
        #expect(around.runtimeDirectory == "/tmp/gotunnel-1000")
        around.environment["XDG_RUNTIME_DIR"] = "/run/user/1000"
        #expect(around.adminSocket(for: .client) == "/run/user/1000/gotunnel/client.sock")
        around.userID = 0
        #expect(around.adminSocket(for: .server) == "/run/gotunnel/server.sock")
        around.environment["RUNTIME_DIRECTORY"] = "/run/a:/run/b"
        #expect(around.runtimeDirectory == "/run/a")
        #expect(around.stateDirectory(for: .client) == "./state/client")
        around.environment["STATE_DIRECTORY"] = "/var/lib/a:/var/lib/b"
        #expect(around.stateDirectory(for: .server) == "/var/lib/a")
    }
}

/// The machine's own files, in a directory made for the test.
@Suite struct SystemFilesTests {
    private func inDirectory(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("gotunnel-settings-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test func readsFilesAndTheirModes() throws {
        try inDirectory { (directory: String) throws in
            let path = "\(directory)/token"
            let written = FileManager.default.createFile(
                atPath: path, contents: Data("abc".utf8), attributes: [.posixPermissions: 0o640])
            #expect(written)
            #expect(try SystemFiles().read(path, limit: 3) == FileContents(bytes: Array("abc".utf8), mode: 0o640))
            #expect(throws: FileTrouble.tooLarge(limit: 2)) { try SystemFiles().read(path, limit: 2) }
            #expect(SystemFiles().exists(path) && !SystemFiles().exists("\(path)-none"))
        }
    }

    @Test func refusesWhatIsNoFile() throws {
        try inDirectory { (directory: String) throws in
            #expect(throws: FileTrouble.isDirectory) { try SystemFiles().read(directory, limit: 10) }
            #expect(throws: FileTrouble.missing) { try SystemFiles().read("\(directory)/none", limit: 10) }
            #expect(mkfifo("\(directory)/pipe", 0o600) == 0)
            #expect(throws: FileTrouble.notAFile) { try SystemFiles().read("\(directory)/pipe", limit: 10) }
            #expect(throws: FileTrouble.notAFile) { try SystemFiles().read("/dev/null", limit: 10) }
        }
    }

    @Test func aWholeServerFromDisk() throws {
        try inDirectory { (directory: String) throws in
            let token = "\(directory)/token"
            let config = "\(directory)/config.yaml"
            #expect(
                FileManager.default.createFile(
                    atPath: token, contents: Data("\(strongToken)\n".utf8), attributes: [.posixPermissions: 0o644]))
            #expect(FileManager.default.createFile(atPath: config, contents: Data("server: {token_file: \(token)}\n".utf8)))
            let around = Surroundings.current(environment: [:])
            let error = #expect(throws: SettingsError.self) { try SettingsLoader.loadServer(path: config, in: around) }
            #expect(
                error?.lines == [
                    "\(config):1: server.token_file: \(token) is readable by others than its owner; run chmod 600 \(token)"
                ])
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: token)
            let named = Surroundings(environment: [:], hostName: "node-1", userID: 0, files: SystemFiles())
            let loaded = try SettingsLoader.loadServer(path: config, in: named)
            #expect(try loaded.settings.tokens.first?.source.read(in: named) == Secret(strongToken))
        }
    }
}
