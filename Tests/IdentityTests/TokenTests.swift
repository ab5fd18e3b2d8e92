import Testing

@testable import Identity

@Suite struct TokenTests {
    @Test func generatedTokenSurvivesItsText() throws {
        var generator = SeededGenerator(seed: 1)
        let token = Token.generate(using: &generator)
        let text = token.reveal()
        #expect(text.wholeMatch(of: /gt1_[0-9a-f]{8}_[0-9a-f]{64}/) != nil)
        let read = try Token(text)
        #expect(read.id == token.id)
        #expect(read.strength == .generated)
        #expect(read.hasSameSecret(as: token))
        #expect(read.reveal() == text)
    }

    @Test func everyGeneratedTokenIsAnother() {
        var generator = SeededGenerator(seed: 2)
        let texts = (0..<100).map { _ in Token.generate(using: &generator).reveal() }
        #expect(Set(texts).count == 100)
    }

    /// The ids were computed with Python's hashlib: `sha256(b"gotunnel/1 token id\n" + text).hexdigest()[:8]`.
    @Test func textsWithoutAnIDGetOneThatBothSidesDerive() throws {
        #expect(try Token(plainHex).id == "de0c0165")
        #expect(try Token("hunter2", allowWeak: true).id == "5ebfc123")
    }

    @Test(arguments: [plainHex, plainHex.uppercased(), plainHex + "a", plainHex + plainHex, plainHex + "\n", plainHex + "\r\n"])
    func hexDigitsAreStrong(text: String) throws {
        #expect(try Token(text).strength == .hexDigits)
    }

    @Test func caseAndOneNewlineDoNotMatter() throws {
        let token = try Token(plainHex)
        for text in [plainHex.uppercased(), plainHex + "\n", plainHex + "\r\n"] {
            let other = try Token(text)
            #expect(other.id == token.id)
            #expect(other.hasSameSecret(as: token))
        }
        #expect(try !Token(plainHex + "0").hasSameSecret(as: token))
    }

    @Test(arguments: [
        "your-very-secure-k8s-token-here", "hunter2", String(plainHex.dropLast()), "0x" + plainHex.dropLast(2), plainHex + "g",
        String(repeating: "z", count: 200), "gt2_0a1b2c3d_" + plainHex,
    ])
    func anythingElseIsWeak(text: String) throws {
        #expect(throws: TokenError.weak) { try Token(text) }
        let token = try Token(text, allowWeak: true)
        #expect(token.strength == .weak)
        #expect(token.reveal() == text)
    }

    @Test func theRefusalSaysHowToMakeAGoodOne() {
        for command in ["gotunnelctl token new", "openssl rand -hex 32", "allow_weak_token"] {
            #expect(TokenError.weak.description.contains(command))
        }
    }

    @Test(arguments: [
        "gt1_", "gt1_0a1b2c3d", "gt1_0a1b2c3d_", "gt1_0a1b2c3d_" + plainHex.dropLast(), "gt1_0a1b2c3d_" + plainHex + "0",
        "gt1_0a1b2c3_" + plainHex, "gt1_0a1b2c3g_" + plainHex, "gt1__" + plainHex, "gt1_0a1b2c3d_" + plainHex + "_",
    ])
    func damagedGeneratedTokensAreNeverTaken(text: String) {
        #expect(throws: TokenError.damaged) { try Token(text) }
        #expect(throws: TokenError.damaged) { try Token(text, allowWeak: true) }
    }

    @Test func impossibleTextsAreRefusedEvenIfWeakOnesAreAllowed() {
        for text in ["", "\n"] {
            #expect(throws: TokenError.empty) { try Token(text, allowWeak: true) }
        }
        for text in ["two words", "a\nb", "a\n\n", "tab\t", "\u{1B}[2J"] {
            #expect(throws: TokenError.spaceOrControlCharacter) { try Token(text, allowWeak: true) }
        }
        #expect(throws: TokenError.tooLong) { try Token(String(repeating: "a", count: 1025), allowWeak: true) }
        #expect(throws: Never.self) { try Token(String(repeating: "a", count: 1024)) }
    }

    @Test func nothingPrintsTheSecret() throws {
        let token = try Token("gt1_0a1b2c3d_" + plainHex)
        let key = AuthenticationKey(token, for: .clientToken)
        let secret = try #require(SessionSecret([UInt8](repeating: 0xA7, count: SessionSecret.length)))
        var dumped = ""
        dump((token, key, secret), to: &dumped)
        let printed = "\(token) \(String(reflecting: token)) \([token]) \(key) \(dumped)"
        #expect(printed.contains("<token id=0a1b2c3d>"))
        #expect(!printed.lowercased().contains(plainHex.prefix(8)))
        #expect(!printed.contains(Hex.text(secret.reveal()).prefix(8)))
    }

    @Test func noMessageShowsTheText() {
        for text in ["sesame", "gt1_sesame", "sesame sesame"] {
            do {
                _ = try Token(text)
                Issue.record("\(text) was taken")
            } catch {
                #expect(!"\(error)".contains("sesame"))
            }
        }
    }
}
