import Identity
import TunnelWire

/// Who this process says it is in every HELLO.
package struct LocalParty: Sendable {
    package var role: WireRole
    package var name: String
    package var installation: WireID
    package var instance: WireID
    /// The cluster's id in hexadecimal; empty where there is no cluster, or none yet.
    package var cluster: String
    /// Program and version, for people.
    package var software: String

    package init(
        role: WireRole, name: String, installation: WireID, instance: WireID, cluster: String = "", software: String
    ) {
        self.role = role
        self.name = name
        self.installation = installation
        self.instance = instance
        self.cluster = cluster
        self.software = software
    }

    func hello(
        method: AuthenticationMethod, tokenID: String, nonce: [UInt8], resume: ResumeRequest?, capabilities: UInt64 = 0
    ) -> Hello {
        var hello = Hello(
            role: self.role, method: method, name: self.name, installation: self.installation, instance: self.instance,
            cluster: self.cluster, nonce: nonce, tokenID: tokenID, software: self.software, resume: resume)
        hello.capabilities = capabilities
        return hello
    }
}

/// What a dialer proves itself with.
package enum DialerCredential: Sendable {
    /// A client's token, or the cluster secret of a server: the key says which.
    case token(AuthenticationKey)
    /// The certificate that its TLS context shows.
    case certificate

    var method: AuthenticationMethod {
        switch self {
        case .token: .token
        case .certificate: .certificate
        }
    }

    var tokenID: String {
        switch self {
        case .token(let key): key.tokenID
        case .certificate: ""
        }
    }
}

/// What a dialer remembers of a session in order to continue it over a new link.
package struct ResumeTicket: Sendable {
    package var server: WireID
    package var session: WireID
    package var secret: SessionSecret

    package init(server: WireID, session: WireID, secret: SessionSecret) {
        self.server = server
        self.session = session
        self.secret = secret
    }
}

/// Why a handshake stops here. The other end is told the code and a reason that gives nothing away.
package struct HandshakeError: Error, Sendable, CustomStringConvertible {
    package var failure: HandshakeFailure
    /// For this side's log, printable.
    package var detail: String
    /// What the other end is told, if anything.
    package var farewell: Close?
    /// What the other end told us, if it ended the handshake.
    package var heard: Close?
    /// The other end ended TLS because it does not believe this end's certificate.
    var isAlert = false
    /// Nobody listened at the address.
    package var isConnectionRefused = false

    init(_ failure: HandshakeFailure, _ detail: String, farewell: Close? = nil, heard: Close? = nil) {
        self.failure = failure
        self.detail = PrintableText.clean(detail)
        self.farewell = farewell
        self.heard = heard
    }

    package var description: String { self.detail }

    package static func malformed(_ error: WireError) -> HandshakeError {
        HandshakeError(.malformed, error.description, farewell: Close(.protocolViolation, error.description))
    }

    /// This end does not want the server that answered, for now.
    static func unwanted(_ farewell: Close) -> HandshakeError {
        HandshakeError(.unwanted, farewell.reason, farewell: farewell)
    }

    /// This end does not want the end that it met, by this CLOSE.
    static func objection(_ close: Close) -> HandshakeError {
        close.code == .forbidden ? .forbidden(close.reason) : .unwanted(close)
    }

    /// One error for a wrong, an unknown and a missing secret.
    static func authentication(_ detail: String) -> HandshakeError {
        HandshakeError(.authentication, detail, farewell: Close(.authenticationFailed, "authentication failed"))
    }

    static func forbidden(_ reason: String) -> HandshakeError {
        HandshakeError(.forbidden, reason, farewell: Close(.forbidden, reason))
    }

    static func version(_ hello: Hello) -> HandshakeError {
        let offered = "\(hello.minimumVersion)...\(hello.maximumVersion)"
        let reason = "protocol \(offered) offered, \(Limits.protocolVersion) needed: use one version on both ends"
        return HandshakeError(.version, reason, farewell: Close(.versionMismatch, reason))
    }

    /// Whether the server said, by a CLOSE or a TLS alert, that it does not want this dialer; trying again without a change of
    /// configuration makes no sense then. What this side holds against the server is none: an impostor may go away.
    package var isRefusal: Bool {
        switch self.failure {
        case .authentication, .forbidden, .version: self.heard != nil || self.isAlert
        default: false
        }
    }
}

extension DecodedFrame {
    /// The payload of a handshake frame of the wanted type; a CLOSE ends the handshake with what it says.
    func handshake<Message: WirePayload>(_ type: Message.Type) throws(HandshakeError) -> (message: Message, bytes: [UInt8]) {
        guard case .frame(let header, var payload) = self else {
            throw .malformed(WireError(.unexpected, "data before the handshake"))
        }
        do {
            let bytes = Array(payload.readableBytesView)
            if header.type == .close {
                let close = try Close(reading: &payload)
                throw HandshakeError.from(close)
            }
            guard header.type == Message.frameType else {
                throw WireError(.unexpected, "frame type \(header.type.rawValue) in the handshake")
            }
            return (try Message(reading: &payload), bytes)
        } catch let error as HandshakeError {
            throw error
        } catch let error as WireError {
            throw .malformed(error)
        } catch {
            throw HandshakeError(.malformed, String(describing: error))
        }
    }
}

extension HandshakeError {
    static func from(_ close: Close) -> HandshakeError {
        let failure: HandshakeFailure =
            switch close.code {
            case .authenticationFailed: .authentication
            case .forbidden: .forbidden
            case .versionMismatch: .version
            case .notMe, .unknownSession: .resume
            case .busy: .busy
            case .superseded: .unwanted
            case .protocolViolation, .misplaced: .malformed
            default: .disconnected
            }
        return HandshakeError(failure, close.reason, heard: close)
    }
}
