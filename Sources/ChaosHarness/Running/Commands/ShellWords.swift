/// Puts the arguments of a command into one text that a POSIX shell takes apart into the very same arguments. `ssh` hands the
/// other side no list of arguments but a text, which the user's shell there reads.
enum ShellWords {
    private static let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+".utf8)

    static func joined(_ words: [String]) -> String { words.map(self.quoted).joined(separator: " ") }

    /// One argument. Within single quotes nothing has a meaning but the single quote, which ends them.
    static func quoted(_ word: String) -> String {
        if !word.isEmpty, word.utf8.allSatisfy(self.plain.contains) { return word }
        return "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
