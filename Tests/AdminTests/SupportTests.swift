import Testing

@testable import Admin

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (1_738_314_307_042, "2025-01-31T09:05:07.042Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ]) func writesAndReads(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
        #expect(Timestamp(text) == Timestamp(milliseconds: milliseconds))
    }

    @Test func everyDayOfFourCenturiesComesBack() {
        for day in stride(from: Int64(-80_000), to: 70_000, by: 1) {
            let time = Timestamp(milliseconds: day * 86_400_000 + 1)
            #expect(Timestamp(time.description) == time)
        }
    }

    @Test(arguments: ["2025-01-31T09:05:07Z", "2025-01-31T09:05:07.0Z", "2025-01-31T09:05:07.000123Z"])
    func otherFractionsAreRead(text: String) {
        #expect(Timestamp(text)?.description == "2025-01-31T09:05:07.000Z")
    }

    @Test(arguments: [
        "", "now", "2025-01-31", "2025-01-31T09:05:07+01:00", "2025-13-31T09:05:07Z", "2025-01-31T24:05:07Z",
        "2025-01-31T09:05:07.Z",
        "2025-01-31T09:05:0xZ", "2025-01-31 09:05:07Z", "20250131T090507Z000000Z", "+025-01-31T09:05:07Z",
    ]) func nonsenseIsNotATime(text: String) {
        #expect(Timestamp(text) == nil)
    }
}

@Suite struct SafeTextTests {
    @Test(arguments: [
        ("plain", "plain"), ("a\nb\rc\td", "a\\nb\\rc\\td"), ("\u{1b}[0m", "\\x1b[0m"), ("caf\u{e9}", "caf?"), ("a\\b", "a\\\\b"),
        ("\r\n", "\\r\\n"),
    ]) func escapes(text: String, safe: String) {
        #expect(SafeText.escape(text) == safe)
    }

    @Test func cutsAtTheLimit() {
        #expect(SafeText.escape("abcdef", limit: 6) == "abcdef")
        #expect(SafeText.escape("abcdefg", limit: 6) == "abc...")
        #expect(SafeText.escape("\n\n\n\n", limit: 6).utf8.count == 6)
        #expect(SafeText.line("abcdefg", limit: 6) == "abc...")
        #expect(SafeText.line("abc", limit: 2) == "..")
        #expect(SafeText.line("a\n\u{1b}\u{e9}") == "a???")
    }
}

@Suite struct TableTests {
    private var table: Table {
        var table = Table([.init("NAME"), .init("STREAMS", .right), .init("ADDR")])
        table.add(["k8s-worker-01", "7", "10.0.0.1:41000"])
        table.add(["b", "1234", ""])
        return table
    }

    @Test func columnsAreAligned() {
        #expect(
            table.render() == """
                NAME           STREAMS  ADDR
                k8s-worker-01        7  10.0.0.1:41000
                b                 1234  -

                """)
    }

    @Test func theWidestColumnsAreCutToFit() {
        #expect(
            table.render(width: 30) == """
                NAME       STREAMS  ADDR
                k8s-work…        7  10.0.0.1:…
                b             1234  -

                """)
        let lines = table.render(width: 30).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 30 })
    }

    @Test func aTerminalThatIsTooNarrowKeepsSixCharactersAColumn() {
        #expect(table.render(width: 3).contains("k8s-w…"))
    }

    @Test func rowsOfAnyLengthAndAnyTextAreSafe() {
        var table = Table([.init("A"), .init("B")])
        table.add(["only"])
        table.add(["x\u{1b}[2J\ny", "2", "surplus"])
        #expect(table.render() == "A        B\nonly     -\nx?[2J?y  2\n")
    }
}

@Suite struct HumanTextTests {
    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (10 * 1024, "10 KiB"), (16 << 20, "16 MiB"),
        (Int.max, "8.0 EiB"), (-5, "0 B"),
    ]) func bytes(count: Int, text: String) {
        #expect(HumanText.bytes(count) == text)
    }

    @Test(arguments: [
        (0.4, "0s"), (59.9, "59s"), (250, "4m10s"), (10_920, "3h02m"), (1_047_600, "12d03h"), (-1, "0s"), (.nan, "-"),
    ]) func durations(seconds: Double, text: String) {
        #expect(HumanText.duration(seconds) == text)
    }

    @Test func roundTrips() {
        #expect(HumanText.roundTrip(nil) == "-")
        #expect(HumanText.roundTrip(0.000_42) == "0.42 ms")
        #expect(HumanText.roundTrip(0.0123) == "12.3 ms")
        #expect(HumanText.roundTrip(1.25) == "1.25 s")
    }
}
