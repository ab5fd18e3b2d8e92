/// What the admin API asks of the daemon behind it.
///
/// Every call may come from any task, several at once, and must not touch the data plane in a way that makes it wait. An action
/// the daemon does not have throws ``AdminError/notSupported(_:)``.
package protocol AdminSource: Sendable {
    /// `nil` when this daemon serves, else the reason why it does not, in a few words.
    func readiness() async -> String?
    func status() async throws -> DaemonStatus
    func peers() async throws -> [PeerStatus]
    func clients() async throws -> [ClientRow]
    func exposures() async throws -> [ExposureRow]
    func streams() async throws -> [StreamRow]
    /// Stops taking new work and lets the old finish; returns at once, or with `wait` when nothing is left or the deadline has
    /// passed.
    func drain(wait: Bool) async throws -> ActionResult
    func undrain() async throws -> ActionResult
    /// Reads the configuration again, as SIGHUP does. A bad file throws 422 and leaves everything as it was.
    func reload() async throws -> ActionResult
    /// Ends the session of a client; it may come back. An unknown client throws 404.
    func evict(client: String) async throws -> ActionResult
    /// Asks a client to take its streams to another server.
    func move(client: String, to peer: String) async throws -> ActionResult
    /// Founds the cluster, or changes its voters or its leader. Returns when that is done, or throws 504 when no leader answers.
    func administer(_ change: ClusterChange) async throws -> ActionResult
}

/// What an operator can have done to a cluster.
package enum ClusterChange: Sendable, Equatable {
    /// Found the cluster with the servers that are linked now.
    case found
    case add(voter: String)
    case remove(voter: String)
    /// Hand over the lead; nil: to any voter.
    case transfer(to: String?)
}

extension AdminSource {
    package func peers() async throws -> [PeerStatus] { [] }

    package func evict(client: String) async throws -> ActionResult {
        throw AdminError.notSupported("this process has no clients to evict")
    }

    package func move(client: String, to peer: String) async throws -> ActionResult {
        throw AdminError.notSupported("this server has no peers")
    }

    package func administer(_ change: ClusterChange) async throws -> ActionResult {
        throw AdminError.notSupported("this process belongs to no cluster")
    }
}

/// What an action answers: sentences for the operator, such as what a reload changed and what needs a restart.
package struct ActionResult: Codable, Sendable, Equatable {
    package var ok = true
    package var messages: [String]

    package init(_ messages: String...) {
        self.messages = messages
    }

    package init(messages: [String]) {
        self.messages = messages
    }
}

/// An answer other than success, as HTTP says it: `{"error": "…"}` with this status code.
package struct AdminError: Error, Sendable, Equatable, CustomStringConvertible {
    /// HTTP status code, 400 to 599.
    package var status: Int
    /// What is wrong and how to mend it; one line, or one for each fault of a configuration.
    package var message: String

    package init(_ status: Int, _ message: String) {
        self.status = status
        self.message = message
    }

    package var description: String { message }

    /// 501: this daemon cannot do that, and why.
    package static func notSupported(_ reason: String) -> AdminError { AdminError(501, reason) }
    /// 404: no such thing.
    package static func notFound(_ what: String) -> AdminError { AdminError(404, what) }
}

/// The body of every answer that is not a success.
package struct ErrorBody: Codable, Sendable, Equatable {
    package var error: String

    package init(error: String) {
        self.error = error
    }
}
