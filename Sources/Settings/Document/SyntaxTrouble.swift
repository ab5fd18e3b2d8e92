import Yams

/// What the YAML library says about a text that is not YAML, in the words of this module. The library's own description
/// repeats lines of the file, which may hold a token, and so is never used.
struct SyntaxTrouble {
    let line: Int?
    let text: String
    let mend: String

    init(_ error: any Error) {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            line = mark.line
            text = problem.contains("nesting level") ? "it is nested too deeply" : PrintableText.clean(problem)
            mend = Self.advice(problem)
        case YamlError.reader(let problem, let offset, _, let yaml):
            line = offset.map { 1 + yaml.prefix($0).unicodeScalars.count { $0 == "\n" } }
            text = PrintableText.clean(problem)
            mend = "remove the control characters"
        default:
            line = nil
            text = "it cannot be parsed"
            mend = "compare it with gotunnelctl config example"
        }
    }

    /// The likely cause of a syntax error.
    private static func advice(_ problem: String) -> String {
        if problem.contains("cannot start any token") {
            return "indent with spaces, not tabs, and quote text that starts with @ or `"
        }
        if problem.contains("mapping values are not allowed") {
            return "quote text that holds a colon and a space, or mend the indentation"
        }
        if problem.contains("could not find expected ':'") { return "write key: value, with a space after the colon" }
        if problem.contains("undefined alias") { return "quote text that starts with *" }
        if problem.contains("another document") { return "keep one document in the file (no second ---)" }
        if problem.contains("did not find expected") { return "mend the indentation, quotes or brackets here or just above" }
        return "compare it with gotunnelctl config example"
    }
}
