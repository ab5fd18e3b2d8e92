/// What one side of the traffic noticed; a line of a record file (JSON, one object a line).
///
/// Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share, network namespaces included; lengths of time
/// are seconds as well.
package struct Observation: Codable, Sendable, Equatable {
    /// What was asked of the apiserver.
    package enum Kind: String, Codable, Sendable, CaseIterable {
        /// A short request on a connection of its own, made for it.
        case new
        /// A short request on a connection kept open.
        case get
        /// A large list, numbered and hashed.
        case list
        /// A long watch that streams numbered events.
        case watch
        /// A stream both ways at once, as `kubectl exec` uses.
        case exec
        /// A large body, numbered and hashed, and the apiserver's word on what it got.
        case upload
        /// A command of kubectl's, where a genuine apiserver stands behind.
        case kubectl
    }

    /// What became of it.
    package enum What: String, Codable, Sendable {
        /// A request was answered well, or a long stream closed because the traffic ends: `took` from the first byte sent to
        /// the last received.
        case done
        /// A request was not answered, or wrongly: `took` until then, `why`.
        case failed
        /// A long stream began: `took` until its first byte.
        case opened
        /// A long stream ended that should have gone on: `took` is its life, `why`.
        case ended
        /// Events or bytes that came within a second, `count` of them, the latest of them `took` after it was due.
        case flow
        /// Something came wrongly: `harm`, `count` pieces of it, `why`.
        case harm
        /// The apiserver took a request that must not be repeated: `id`.
        case accepted
    }

    /// In which way something came wrongly.
    package enum Harm: String, Codable, Sendable, CaseIterable {
        case lost, repeated, reordered, corrupt
    }

    /// When it began, or when it was noticed (`flow`, `harm`, `ended`).
    package var t: Double
    /// Whose traffic: a client's name, `control` for what does not pass the tunnel, an apiserver's name for what that noticed.
    package var who: String
    package var kind: Kind
    /// "1.1" or "2".
    package var http: String
    package var what: What
    package var took: Double?
    package var why: String?
    package var harm: Harm?
    package var count: Int?
    /// The request's own number, for `accepted`: `CLIENT/KIND/NUMBER`.
    package var id: String?
    /// Which apiserver answered.
    package var by: String?

    package init(
        t: Double, who: String, kind: Kind, http: String, what: What, took: Double? = nil, why: String? = nil,
        harm: Harm? = nil, count: Int? = nil, id: String? = nil, by: String? = nil
    ) {
        self.t = t
        self.who = who
        self.kind = kind
        self.http = http
        self.what = what
        self.took = took
        self.why = why
        self.harm = harm
        self.count = count
        self.id = id
        self.by = by
    }

    /// Requests are answered or fail; the others go on.
    package var isRequest: Bool {
        switch self.kind {
        case .new, .get, .list, .upload, .kubectl: self.what == .done || self.what == .failed
        case .watch, .exec: false
        }
    }
}
