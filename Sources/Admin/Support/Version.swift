/// The version that every program of this project shows, and that builds are told apart by in status and metrics.
package enum Version {
    /// Semantic version, `major.minor.patch`.
    package static let current = "0.1.0"
}
