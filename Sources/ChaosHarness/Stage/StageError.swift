/// What keeps a rehearsal from going on, in one line.
package struct StageError: Error, Sendable, CustomStringConvertible {
    package let description: String
    /// Whether this machine lacks something, so that nothing is said about the programs.
    package let isOfMachine: Bool

    package init(_ description: String, isOfMachine: Bool = false) {
        self.description = description
        self.isOfMachine = isOfMachine
    }
}
