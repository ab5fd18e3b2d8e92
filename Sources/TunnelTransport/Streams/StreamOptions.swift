import NIOCore

/// Options of the local connections of streams. NIO's bootstraps set TCP_NODELAY by themselves.
enum StreamOptions {
    /// The kernel's receive buffer in bytes: bounds what a closing socket can make us read at once.
    static let receiveBuffer = 256 << 10

    /// Sets what every stream's channel needs, from its initializer. All at once, because a bootstrap that is given
    /// options makes a future for each, which new connections pay for.
    static func apply(to channel: any Channel, _ allocator: StreamReadAllocator) throws {
        guard let options = channel.syncOptions else { return }
        try options.setOption(.autoRead, value: false)
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try options.setOption(.maxMessagesPerRead, value: 1)
        try options.setOption(.recvAllocator, value: allocator)
    }
}
