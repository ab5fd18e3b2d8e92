import Testing

@Suite("Elections, step by step")
struct ElectionScriptTests {
    @Test func first() {
        play(
            """
            > cluster ABC
            > timeout A
            > deliver A→
            > deliver →A
            > store A
            > deliver A→
            > store B
            > store C
            > deliver →A
            > store A
            > deliver A→
            > settle
            > state A
            """)
    }
}
