import Crypto

/// The tokens that an acceptor takes, all for one purpose. A reload replaces the ring by another.
package struct TokenRing: Sendable {
    /// One token of the configuration.
    package struct Entry: Sendable {
        package let token: Token
        /// The names of the clients that may use it. `nil`: shared, so that whoever holds it can pose as any client.
        package let clients: [NamePattern]?
        /// The name the configuration gives it, for people.
        package let label: String?

        package init(_ token: Token, clients: [NamePattern]? = nil, label: String? = nil) {
            self.token = token
            self.clients = clients
            self.label = label
        }
    }

    package let purpose: KeyPurpose
    /// The ids of all tokens, sorted.
    package let ids: [String]
    /// The ids of the tokens that are bound to no names, sorted: each deserves a warning at start.
    package var sharedIDs: [String] { ids.filter { holders[$0]?.isShared == true } }

    private let holders: [String: TokenHolder]
    private let decoy: AuthenticationKey

    /// - Parameters:
    ///   - entries: the tokens; none is allowed, and then nobody is accepted.
    ///   - purpose: what they are for.
    ///   - others: secrets for another purpose, none of which may be among the tokens: client tokens and cluster secrets exclude
    ///     each other, or whoever runs a client could pose as a server.
    ///   - generator: makes the key that unknown ids are verified against; has to be a cryptographic one outside tests.
    package init(
        _ entries: [Entry], for purpose: KeyPurpose, distinctFrom others: [Token] = [],
        using generator: inout some RandomNumberGenerator
    ) throws(TokenRingError) {
        var holders: [String: TokenHolder] = [:]
        for (index, entry) in entries.enumerated() {
            let token = entry.token
            if others.contains(where: token.hasSameSecret(as:)) { throw .servesTwoPurposes(id: token.id) }
            if let twin = entries[..<index].first(where: { $0.token.hasSameSecret(as: token) }) {
                throw .sameSecret(id: twin.token.id, otherID: token.id)
            }
            let holder = TokenHolder(key: AuthenticationKey(token, for: purpose), clients: entry.clients, label: entry.label)
            guard holders.updateValue(holder, forKey: token.id) == nil else { throw .duplicateID(token.id) }
        }
        self.purpose = purpose
        self.holders = holders
        self.ids = holders.keys.sorted()
        self.decoy = AuthenticationKey(tokenID: "", material: SymmetricKey(data: generator.bytes(32)), purpose: purpose)
    }

    /// What to verify a dialer's proof against. An unknown id gets a candidate as well, with a random key, so that it takes the
    /// same path, the same time and the same error as a wrong proof.
    package func lookup(_ id: String) -> TokenCandidate {
        let holder = holders[id]
        return TokenCandidate(key: holder?.key ?? decoy, holder: holder)
    }

    /// Whether a session that this token began may go on under this ring: the token is still there and still permits the client.
    package func stillPermits(tokenID: String, client name: String) -> Bool {
        holders[tokenID]?.permits(client: name) ?? false
    }

    /// The ids, sorted, of the tokens that `newer` no longer has, or has with another secret: their sessions end.
    package func removedIDs(by newer: TokenRing) -> [String] {
        ids.filter { holders[$0]?.key.proofKey != newer.holders[$0]?.key.proofKey }
    }
}

/// What a ring gives for an id before anything is proved: it verifies, and shows nothing until it has.
package struct TokenCandidate: Sendable {
    let key: AuthenticationKey
    fileprivate let holder: TokenHolder?

    /// The token, if `proof` shows that the dialer holds it. `nil` for a wrong proof and for an unknown id alike.
    package func verify(_ proof: HandshakeProof, over transcript: HandshakeTranscript) -> VerifiedToken? {
        let isProved = transcript.verify(proof, for: .dialer, key: key)
        guard isProved, let holder else { return nil }
        return VerifiedToken(holder: holder)
    }
}

/// A token that the other end has proved to hold. Only now may the acceptor use its key.
package struct VerifiedToken: Sendable {
    fileprivate let holder: TokenHolder

    package var id: String { holder.key.tokenID }
    /// The name the configuration gives it, if any.
    package var label: String? { holder.label }
    /// Whether it is bound to no client names.
    package var isShared: Bool { holder.isShared }
    /// For the acceptor's own proof and for the session's secret.
    package var key: AuthenticationKey { holder.key }

    /// Whether the token's binding permits the client that named itself `name`.
    package func permits(client name: String) -> Bool { holder.permits(client: name) }
}

/// A ring's own record of one token.
private struct TokenHolder: Sendable {
    let key: AuthenticationKey
    let clients: [NamePattern]?
    let label: String?

    var isShared: Bool { clients == nil }

    func permits(client name: String) -> Bool {
        clients?.contains { $0.matches(name) } ?? true
    }
}

/// Why a set of tokens is refused.
package enum TokenRingError: Error, Equatable, CustomStringConvertible {
    case duplicateID(String)
    case sameSecret(id: String, otherID: String)
    /// The same secret is a client token and a cluster secret.
    case servesTwoPurposes(id: String)

    package var description: String {
        switch self {
        case .duplicateID(let id):
            "two tokens have the id \(id): remove one, or make a new one with `gotunnelctl token new`"
        case .sameSecret(let id, let otherID) where id == otherID:
            "the token \(id) is listed twice: remove one of the two"
        case .sameSecret(let id, let otherID):
            "the tokens \(id) and \(otherID) have the same secret: make a new one with `gotunnelctl token new`"
        case .servesTwoPurposes(let id):
            "the token \(id) is both a client token and a cluster secret, so that any client could pose as a server: "
                + "make another with `gotunnelctl token new`"
        }
    }
}
