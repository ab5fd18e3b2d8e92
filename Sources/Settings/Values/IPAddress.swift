#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// An IPv4 or IPv6 address, without a zone.
package struct IPAddress: Sendable, Hashable, CustomStringConvertible {
    /// 4 or 16 bytes, in network order.
    package let bytes: [UInt8]

    /// The address of a text such as `10.0.0.1` or `fd00::1` (RFC 4291), or nil.
    package init?(_ text: String) {
        guard text.utf8.count <= 45 else { return nil }
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            bytes = withUnsafeBytes(of: &v4) { Array($0) }
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            bytes = withUnsafeBytes(of: &v6) { Array($0) }
        } else {
            return nil
        }
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// 127.0.0.1, where mapped ports listen unless the configuration says otherwise.
    package static let loopback = IPAddress(bytes: [127, 0, 0, 1])

    /// 0.0.0.0: every address of the machine.
    static let any = IPAddress(bytes: [0, 0, 0, 0])

    /// Whether it has 16 bytes.
    package var isIPv6: Bool { bytes.count == 16 }

    /// 0.0.0.0 or ::.
    package var isAny: Bool { bytes.allSatisfy { $0 == 0 } }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { isIPv6 ? bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1 : bytes.first == 127 }

    /// The canonical text (RFC 5952).
    package var description: String {
        var text = [CChar](repeating: 0, count: 64)
        let family = isIPv6 ? AF_INET6 : AF_INET
        guard bytes.withUnsafeBytes({ inet_ntop(family, $0.baseAddress, &text, socklen_t(text.count)) }) != nil else {
            return "?"
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The first `length` bits, the others cleared.
    func masked(to length: Int) -> IPAddress {
        IPAddress(
            bytes: bytes.enumerated().map { index, byte in
                let bits = min(8, max(0, length - index * 8))
                return bits == 0 ? 0 : byte & (0xff << UInt8(8 - bits))
            })
    }
}

/// A range of addresses such as `10.244.0.0/16` (RFC 4632).
package struct CIDR: Sendable, Hashable, CustomStringConvertible {
    /// The first address of the range; all bits after `length` are zero.
    package let network: IPAddress
    /// The number of leading bits that all addresses of the range share.
    package let length: Int

    /// The range of a text such as `10.244.0.0/16`; nil when it is none, or when bits after the length are set.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let length = ByteSize.parse(String(parts[1])),
            String(length) == parts[1], length <= address.bytes.count * 8, address.masked(to: length) == address
        else { return nil }
        network = address
        self.length = length
    }

    /// Whether an address lies within.
    package func contains(_ address: IPAddress) -> Bool {
        address.bytes.count == network.bytes.count && address.masked(to: length) == network
    }

    /// `network/length`; parsing gives it back.
    package var description: String { "\(network)/\(length)" }
}
