import Glibc
import Testing

@testable import Identity

@Suite struct StateFileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func aMissingFileIsNoError() throws {
        #expect(try StateFile.read(directory.file("none")) == nil)
        #expect(try StateFile.read(directory.file("none/deeper")) == nil)
    }

    @Test(arguments: [0o600, 0o400, 0o700] as [mode_t])
    func secretsOfTheOwnerAloneAreRead(mode: mode_t) throws {
        try directory.put("secret", at: "file", mode: mode)
        #expect(try StateFile.read(directory.file("file"))?.text == "secret")
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o620, 0o602, 0o601, 0o610] as [mode_t])
    func secretsThatOthersMayTouchAreRefused(mode: mode_t) throws {
        try directory.put("secret", at: "file", mode: mode)
        let refusal = problem { _ = try StateFile.read(directory.file("file")) }
        #expect(refusal?.kind == .tooOpen)
        #expect(refusal?.description.contains("0" + String(mode, radix: 8)) == true)
        #expect(refusal?.description.contains("chmod 600") == true)
        #expect(try StateFile.read(directory.file("file"), as: .open)?.text == "secret")
    }

    @Test func onlyTheCredentialsDirectoryIsExempt() throws {
        try directory.put("secret", at: "file", mode: 0o644)
        let path = directory.file("file")
        for exempt in [directory.path, directory.path + "/"] {
            #expect(try StateFile.read(path, as: .secret(exempt: exempt))?.text == "secret")
        }
        for exempt in ["", "/nowhere", String(directory.path.dropLast()), directory.path + "/x"] {
            #expect(problem { _ = try StateFile.read(path, as: .secret(exempt: exempt)) }?.kind == .tooOpen, "\(exempt)")
        }
        let roundabout = "\(directory.path)/credentials/../file"
        try StateFile.makeDirectory(directory.file("credentials"))
        let exempt = directory.file("credentials")
        #expect(problem { _ = try StateFile.read(roundabout, as: .secret(exempt: exempt)) }?.kind == .tooOpen)
    }

    @Test func whatIsNoOrdinaryFileIsRefused() throws {
        #expect(mkfifo(directory.file("fifo"), 0o600) == 0)
        #expect(problem { _ = try StateFile.read(directory.file("fifo")) }?.kind == .damaged)
        #expect(problem { _ = try StateFile.read(directory.path) }?.kind == .damaged)
        try directory.put(String(repeating: "x", count: StateFile.maximumSize), at: "largest")
        #expect(try StateFile.read(directory.file("largest"))?.bytes.count == StateFile.maximumSize)
        try directory.put(String(repeating: "x", count: StateFile.maximumSize + 1), at: "too-large")
        #expect(problem { _ = try StateFile.read(directory.file("too-large")) }?.kind == .damaged)
    }

    @Test func writingReplacesInOneStepAndLeavesNothingElse() throws {
        try directory.put("old", at: "file", mode: 0o644)
        try StateFile.write(Array("new".utf8), to: directory.file("file"), mode: 0o600)
        #expect(try directory.text("file") == "new")
        #expect(directory.mode("file") == 0o600)
        // More than the usual umask leaves over: the mode is exactly the one asked for.
        try StateFile.write([], to: directory.file("empty"), mode: 0o666)
        #expect(directory.mode("empty") == 0o666)
        #expect(try directory.names() == ["empty", "file"])
    }

    @Test func aFailedWriteLeavesNothingBehind() throws {
        #expect(problem { try StateFile.write([1], to: directory.file("none/file"), mode: 0o600) }?.kind == .system)
        try StateFile.makeDirectory(directory.file("taken"))
        let refusal = problem { try StateFile.write([1], to: directory.file("taken"), mode: 0o600) }
        #expect(refusal?.kind == .system)
        #expect(refusal?.description.contains(directory.file("taken")) == true)
        #expect(try directory.names() == ["taken"])
    }

    @Test func directoriesAreMadeForTheOwnerAlone() throws {
        try StateFile.makeDirectory(directory.file("a/b/c"))
        for name in ["a", "a/b", "a/b/c"] { #expect(directory.mode(name) == 0o700) }
        #expect(throws: Never.self) { try StateFile.makeDirectory(directory.file("a/b/c")) }
        try directory.put("", at: "file")
        #expect(problem { try StateFile.makeDirectory(directory.file("file/d")) }?.kind == .system)
    }
}

@Suite struct IdentifierTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func textAndBytesAgree() throws {
        let text = "000102030405060708090a0b0c0d0eff"
        let id = try #require(InstanceID(hex: text))
        #expect(id.description == text)
        #expect(InstanceID(id.bytes) == id)
        #expect(InstanceID(hex: text.uppercased()) == id)
        for wrong in ["", String(text.dropLast()), text + "0", text + "00", text.replacing("ff", with: "fg")] {
            #expect(InstanceID(hex: wrong) == nil, "\(wrong)")
        }
        #expect(InstanceID([UInt8](repeating: 0, count: 15)) == nil)
        #expect(InstanceID([UInt8](repeating: 0, count: 17)) == nil)
    }

    @Test func generatedOnesDiffer() {
        var generator = SeededGenerator(seed: 11)
        #expect(Set((0..<100).map { _ in InstanceID.generate(using: &generator) }).count == 100)
    }

    @Test func anInstallationKeepsItsID() throws {
        var generator = SeededGenerator(seed: 12)
        let state = directory.file("state")
        let first = try InstallationID.loadOrCreate(directory: state, using: &generator)
        let second = try InstallationID.loadOrCreate(directory: state, using: &generator)
        #expect(first == second)
        #expect(TemporaryDirectory.mode(at: state) == 0o700)
        #expect(directory.mode("state/installation-id") == 0o600)
        #expect(try directory.text("state/installation-id") == "\(first)\n")
    }

    @Test(arguments: [
        "", "\n", "000102030405060708090a0b0c0d0e", "000102030405060708090a0b0c0d0eff\n\n", "no id at all, but 32 characters",
    ])
    func aDamagedIDIsNotReplaced(text: String) throws {
        try directory.put(text, at: InstallationID.fileName)
        var generator = SeededGenerator(seed: 13)
        let refusal = #expect(throws: IdentityProblem.self) {
            try InstallationID.loadOrCreate(directory: directory.path, using: &generator)
        }
        #expect(refusal?.kind == .damaged)
        #expect(refusal?.place == directory.file(InstallationID.fileName))
        #expect(try directory.text(InstallationID.fileName) == text)
    }

    @Test func anOpenIDIsRefused() throws {
        try directory.put("000102030405060708090a0b0c0d0eff\n", at: InstallationID.fileName, mode: 0o644)
        var generator = SeededGenerator(seed: 14)
        #expect(throws: IdentityProblem.self) { try InstallationID.loadOrCreate(directory: directory.path, using: &generator) }
    }
}
