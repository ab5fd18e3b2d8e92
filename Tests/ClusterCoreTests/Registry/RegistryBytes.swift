import NIOCore
import TunnelWire

extension RegistryMessage {
    /// In bytes, as it travels.
    var encodedLength: Int {
        var buffer = ByteBuffer()
        self.write(into: &buffer)
        return buffer.readableBytes
    }
}
