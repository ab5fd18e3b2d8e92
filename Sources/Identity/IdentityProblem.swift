/// Something about a file, a certificate or a name that stops the start: what is wrong, where, how to mend it.
package struct IdentityProblem: Error, Equatable, CustomStringConvertible {
    /// What programs tell apart.
    package enum Kind: Sendable, Equatable {
        /// The system refused: permissions, no such directory, a full disk.
        case system
        /// A secret that group or others may read.
        case tooOpen
        /// A file that does not hold what it should.
        case damaged
        /// A certificate and a key that do not belong together.
        case mismatch
        /// A file that has to be there.
        case missing
        /// A file that must not be overwritten.
        case exists
        /// A name that is no RFC 1123 name.
        case badName
    }

    package let kind: Kind
    /// A path, or what else the problem is about.
    package let place: String
    package let problem: String
    package let mend: String

    /// - Parameter place: the file, directory or value that is wrong.
    package init(_ kind: Kind, at place: String, _ problem: String, mend: String) {
        self.kind = kind
        self.place = place
        self.problem = problem
        self.mend = mend
    }

    /// One line.
    package var description: String { "\(place) \(problem): \(mend)" }
}
