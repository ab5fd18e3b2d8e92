import NIOCore
import TunnelWire

/// Decodes what peers tell each other, encodes what came out and decodes that again: nothing may crash, change or grow.
package enum ClusterChecks {
    /// The body of the fuzz target: the input is one message of a control link or of a data session.
    package static func message(_ input: [UInt8]) -> String? {
        var payload = ByteBuffer(bytes: input)
        guard let message = try? ClusterMessage(reading: &payload) else { return nil }
        let taken = input.count - payload.readableBytes
        var encoded = ByteBuffer()
        message.write(into: &encoded)
        guard encoded.readableBytes <= taken else { return "a message grew when it was encoded: \(message)" }
        var rest = encoded
        guard let again = try? ClusterMessage(reading: &rest), rest.readableBytes == 0 else {
            return "a message does not decode as it was encoded: \(message)"
        }
        guard again == message else { return "a message changed when it was encoded and decoded: \(message), then \(again)" }
        return nil
    }
}
