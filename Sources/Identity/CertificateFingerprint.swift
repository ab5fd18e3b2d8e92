import Crypto
import FoundationEssentials

/// SHA-256 of a certificate's DER encoding: what a client pins, and what a handshake's transcript names.
package struct CertificateFingerprint: Sendable, Hashable, CustomStringConvertible {
    /// 32 bytes.
    package let bytes: [UInt8]

    /// The fingerprint of the certificate whose complete DER encoding is `der`.
    package init(ofDER der: some Sequence<UInt8>) {
        bytes = Array(SHA256.hash(data: Array(der)))
    }

    /// Reads a pin as `server_pins` holds it and as `openssl x509 -fingerprint -sha256` prints it: 64 hex digits in either case,
    /// with or without colons between bytes, with or without `sha256:` before them.
    package init(_ text: String) throws(PinError) {
        var digits = Substring(text)
        if digits.lowercased().hasPrefix("sha256:") { digits = digits.dropFirst("sha256:".count) }
        if digits.contains(":") {
            let pairs = digits.split(separator: ":", omittingEmptySubsequences: false)
            guard pairs.allSatisfy({ $0.utf8.count == 2 }) else { throw PinError(text) }
            digits = Substring(pairs.joined())
        }
        guard digits.utf8.count == 64, let bytes = Hex.bytes(digits) else { throw PinError(text) }
        self.bytes = bytes
    }

    /// 64 lower-case hex digits.
    package var description: String { Hex.text(bytes) }

    /// A text that is no pin.
    package struct PinError: Error, Equatable, CustomStringConvertible {
        /// Printable.
        package let text: String

        init(_ text: String) { self.text = PrintableText.sanitize(text, limit: 100) }

        package var description: String {
            "\"\(text)\" is not the SHA-256 of a certificate: 64 hex digits are needed, as `gotunnelctl token join` prints them"
        }
    }
}

/// The server certificates that a client accepts.
package struct CertificatePins: Sendable, Equatable {
    package let fingerprints: Set<CertificateFingerprint>

    package init(_ fingerprints: some Sequence<CertificateFingerprint>) { self.fingerprints = Set(fingerprints) }

    /// Whether the certificate may be shown: any may while nothing is pinned.
    package func accept(_ fingerprint: CertificateFingerprint) -> Bool {
        fingerprints.isEmpty || fingerprints.contains(fingerprint)
    }
}
