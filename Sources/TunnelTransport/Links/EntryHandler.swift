import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import TunnelWire

#if canImport(Glibc)
import Glibc
#endif

/// The first handler of an accepted connection: waits for a place in the gate, reads the TLS greeting, and has the
/// connection authenticated on the event loop where its other end lives.
final class EntryHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let server: LinkServer
    private var deadline: HandshakeDeadline?
    private var pass: HandshakePass?
    private var isOver = false

    init(server: LinkServer) { self.server = server }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        let entry = NIOLoopBound(self, eventLoop: context.eventLoop)
        let source = context.remoteAddress?.ipAddress ?? "unix"
        self.pass = self.server.gate.enter(source: source) {
            channel.eventLoop.execute { entry.value.proceed(channel) }
        }
        guard self.pass != nil else {
            return self.fail(context, HandshakeError(.overload, "too many connections wait to be authenticated"))
        }
    }

    /// A place is free: the five seconds begin, and reading does.
    private func proceed(_ channel: any Channel) {
        guard !self.isOver, channel.isActive else { return }
        let deadline = HandshakeDeadline(pass: self.pass.take(), limit: self.server.handshakeLimit)
        deadline.start(on: channel)
        self.deadline = deadline
        let greeting = SNIHandler { result in self.placed(channel, by: result) }
        do {
            try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(greeting))
            try channel.syncOptions?.setOption(.autoRead, value: true)
        } catch {
            channel.close(promise: nil)
        }
    }

    /// The greeting is read: it says on which loop the other end lives.
    private func placed(_ channel: any Channel, by result: SNIResult) -> EventLoopFuture<Void> {
        guard !self.isOver, let deadline = self.deadline.take() else { return channel.eventLoop.makeSucceededVoidFuture() }
        self.isOver = true
        let home = self.server.home(of: result)
        let operations = channel.pipeline.syncOperations
        do {
            if self.server.eventLoop(of: home) === channel.eventLoop {
                try self.server.addHandlers(to: channel, deadline: deadline, home: home)
            } else {
                try operations.addHandler(MovingHandler(server: self.server, home: home, rest: deadline.handOver()))
            }
            operations.removeHandler(self, promise: nil)
            return channel.eventLoop.makeSucceededVoidFuture()
        } catch {
            deadline.finish()
            let address = channel.remoteAddress?.shortText ?? "unknown"
            self.server.failed(HandshakeError(.disconnected, "the connection ended at its TLS greeting"), address: address)
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(error)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is HandshakeDeadline.Expired else { return context.fireUserInboundEventTriggered(event) }
        self.fail(context, HandshakeError(.timeout, "no TLS greeting within \(self.server.handshakeLimit.text)"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.fail(context, HandshakeError(.disconnected, "the connection broke before its TLS greeting"))
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.fail(context, HandshakeError(.disconnected, "the connection ended before its TLS greeting"))
        context.fireChannelInactive()
    }

    private func fail(_ context: ChannelHandlerContext, _ error: HandshakeError) {
        guard !self.isOver else { return }
        self.isOver = true
        self.pass?.release()
        self.deadline?.finish()
        self.server.failed(error, address: context.addressText)
        if error.failure == .overload, let options = context.channel as? any SocketOptionProvider {
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }
}

/// Takes a connection to another event loop: its descriptor is duplicated, a new channel made from it there, and the
/// greeting that was read here is given to that one.
private final class MovingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let server: LinkServer
    private let home: LinkServer.Home
    private let rest: HandshakeDeadline.Rest
    private var isMoved = false

    init(server: LinkServer, home: LinkServer.Home, rest: HandshakeDeadline.Rest) {
        self.server = server
        self.home = home
        self.rest = rest
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isMoved else { return }
        self.isMoved = true
        let greeting = self.unwrapInboundIn(data)
        let duplicate = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            fcntl($0, F_DUPFD_CLOEXEC, 0)
        }
        guard let duplicate else {
            // The channel is closed already, and has no descriptor any more.
            self.fail(context, HandshakeError(.disconnected, "the connection ended at its TLS greeting"))
            return context.close(promise: nil)
        }
        guard duplicate >= 0 else {
            self.fail(context, HandshakeError(.overload, "no file descriptors left to accept with"))
            return context.close(promise: nil)
        }
        self.server.adopt(duplicate, greeting: greeting, rest: self.rest, home: self.home, address: context.addressText)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !self.isMoved { self.fail(context, HandshakeError(.disconnected, "the connection ended at its TLS greeting")) }
        context.fireChannelInactive()
    }

    private func fail(_ context: ChannelHandlerContext, _ error: HandshakeError) {
        self.isMoved = true
        self.rest.pass?.release()
        self.server.failed(error, address: context.addressText)
    }
}
