import Testing

@testable import Settings

@Suite struct DurationTextTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("2s", .seconds(2)), ("1m", .seconds(60)), ("24h", .seconds(86_400)),
        ("0s", .zero),
        ("0", .zero),
    ])
    func reads(_ text: String, _ value: Duration) {
        #expect(DurationText.parse(text) == value)
    }

    @Test func aBareNumberIsSecondsOnlyWhereTheOriginalHadTheKey() {
        #expect(DurationText.parse("30") == nil)
        #expect(DurationText.parse("30", bareSeconds: true) == .seconds(30))
    }

    @Test(arguments: ["", "s", "-1s", "1.5s", "1 s", "1d", "1S", "1h30m", "9999999999s", "\u{661}s", "1ms "])
    func refuses(_ text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test func whatIsWrittenIsReadBack() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let scale = [1, 1_000, 60_000, 3_600_000].randomElement(using: &random) ?? 1
            let value = Duration.milliseconds(Int.random(in: 0...100_000, using: &random) * scale)
            #expect(DurationText.parse(DurationText.format(value)) == value)
        }
    }
}

@Suite struct ByteSizeTests {
    @Test(arguments: [("0", 0), ("1500", 1_500), ("64KiB", 65_536), ("16MiB", 16_777_216), ("2GiB", 2_147_483_648)])
    func reads(_ text: String, _ value: Int) {
        #expect(ByteSize.parse(text) == value)
    }

    @Test(arguments: ["", "KiB", "16MB", "16 MiB", "-1", "1.5MiB", "1e6", "9999999999999", "999999999999GiB", "16mib"])
    func refuses(_ text: String) {
        #expect(ByteSize.parse(text) == nil)
    }

    @Test func whatIsWrittenIsReadBack() {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<2_000 {
            let value = Int.random(in: 0...4_096, using: &random) << Int.random(in: 0...30, using: &random)
            #expect(ByteSize.parse(ByteSize.format(value)) == value)
        }
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        "127.0.0.1:6443", "[fd00::1]:17000", "[::]:17000", "k8s-api.internal:6443", "localhost:22", "my_host.example:1",
        "10.0.0.1:65535",
    ])
    func isReadAndWrittenTheSame(_ text: String) throws {
        let address = try #require(HostPort(text))
        #expect(address.description == text)
        #expect(HostPort(address.description) == address)
    }

    @Test func namesAreLowerCasedAndIPv6IsCanonical() {
        #expect(HostPort("Controller.Example:17000")?.description == "controller.example:17000")
        #expect(HostPort("[FD00:0:0::1]:17000")?.description == "[fd00::1]:17000")
    }

    @Test(arguments: [
        "", ":", "host", "host:", ":17000", "host:0", "host:65536", "host:+1", "host:1 ", "::1:17000", "[::1]", "[]:1",
        "[10.0.0.1]:1",
        "10.0.0.256:1", "1.2.3:1", "-a:1", "a-:1", "a..b:1", "a b:1", "h\u{e9}:1", "host:64KiB",
    ])
    func refuses(_ text: String) {
        #expect(HostPort(text) == nil)
    }

    @Test func randomAddressesAreReadBack() throws {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<1_000 {
            let bytes = (0..<8).map { _ in String(UInt16.random(in: 0...300, using: &random), radix: 16) }
            let six = try #require(HostPort("[\(bytes.joined(separator: ":"))]:\(Int.random(in: 1...65_535, using: &random))"))
            #expect(HostPort(six.description) == six)
            let quad = (0..<4).map { _ in String(UInt8.random(in: 0...255, using: &random)) }.joined(separator: ".")
            let four = try #require(HostPort("\(quad):\(Int.random(in: 1...65_535, using: &random))"))
            #expect(four.description.hasPrefix("\(quad):"))
            #expect(HostPort(four.description) == four)
        }
    }

    @Test func listenersCollideOnTheSamePortOfTheSameOrEveryAddress() throws {
        let one = try #require(HostPort("127.0.0.1:6443"))
        #expect(one.collides(with: try #require(HostPort("127.0.0.1:6443"))))
        #expect(one.collides(with: try #require(HostPort("0.0.0.0:6443"))))
        #expect(try #require(HostPort("[::]:6443")).collides(with: one))
        #expect(!one.collides(with: try #require(HostPort("127.0.0.2:6443"))))
        #expect(!one.collides(with: try #require(HostPort("0.0.0.0:6444"))))
    }

    @Test func rangesOfAddressesHoldTheirOwn() throws {
        let pods = try #require(CIDR("10.244.0.0/16"))
        #expect(pods.contains(try #require(IPAddress("10.244.255.1"))))
        #expect(!pods.contains(try #require(IPAddress("10.245.0.1"))))
        #expect(!pods.contains(try #require(IPAddress("::1"))))
        let odd = try #require(CIDR("fd00:8000::/17"))
        #expect(odd.contains(try #require(IPAddress("fd00:ffff::1"))))
        #expect(!odd.contains(try #require(IPAddress("fd00:7fff::1"))))
        #expect(CIDR("0.0.0.0/0")?.contains(try #require(IPAddress("8.8.8.8"))) == true)
        #expect(pods.description == "10.244.0.0/16" && CIDR(pods.description) == pods)
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/08", "10.0.0.0/-1", "/8", "::/129", "10.0.0.0/8/8"] {
            #expect(CIDR(wrong) == nil, "\(wrong)")
        }
    }

    @Test func rangesOfPorts() {
        let range = PortRange("20000-20999")
        #expect(range?.first == 20_000 && range?.last == 20_999 && range?.description == "20000-20999")
        #expect(PortRange("443")?.description == "443")
        for wrong in ["", "-", "0", "1-", "-1", "2-1", "1-65536", "1-2-3", "a", "1 -2"] {
            #expect(PortRange(wrong) == nil, "\(wrong)")
        }
    }

    @Test func pinsAreReadWithAndWithoutColons() {
        let plain = CertificatePin(strongToken)
        #expect(plain?.description == strongToken && plain?.bytes.count == 32)
        let colons = stride(from: 0, to: 64, by: 2).map { strongToken.uppercased().dropFirst($0).prefix(2) }.joined(
            separator: ":")
        #expect(CertificatePin(colons) == plain)
        #expect(CertificatePin(String(strongToken.dropLast())) == nil)
        #expect(CertificatePin(String(strongToken.dropLast()) + "g") == nil)
    }
}

@Suite struct NameTests {
    @Test func namesAreLowerCased() {
        #expect(Names.processName("K8s-Worker-01.Example") == "k8s-worker-01.example")
        #expect(Names.label("Kubelet") == "kubelet")
        #expect(Names.label("a.b") == nil)
        for wrong in ["", "-a", "a-", "a_b", "a..b", ".a", "a b", "\u{e9}", String(repeating: "a", count: 64)] {
            #expect(Names.processName(wrong) == nil, "\(wrong)")
        }
    }

    @Test func patternsAreLowerCased() throws {
        #expect(NamePattern("K8s-*")?.text == "k8s-*" && NamePattern("K8s-*")?.isExact == false)
        #expect(NamePattern("k8s-1.example")?.isExact == true)
        #expect(NamePattern(String(repeating: "a", count: 200)) != nil)
        for wrong in ["", "a b", "a_b", "a?", "\u{e9}", String(repeating: "a", count: 201)] {
            #expect(NamePattern(wrong) == nil, "\(wrong)")
        }
    }

    @Test func nearestWord() {
        #expect(PrintableText.nearest(to: "sever_addr", among: ["server_addr", "links"]) == "server_addr")
        #expect(PrintableText.nearest(to: "lnisk", among: ["server_addr", "links"]) == nil)
        #expect(PrintableText.nearest(to: "likns", among: ["server_addr", "links"]) == "links")
        #expect(PrintableText.nearest(to: "x", among: []) == nil)
        #expect(PrintableText.editDistance([], Array("abc".utf8)) == 3)
    }
}
