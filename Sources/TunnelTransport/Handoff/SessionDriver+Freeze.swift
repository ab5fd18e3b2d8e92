import NIOCore
import NIOPosix
import Timing
import TunnelSession
import TunnelWire

/// From one process to the next. Everything happens on the driver's event loop.
extension SessionDriver {
    /// Stops everything and hands the session over with its streams. The link, if there is one, is told why it ends.
    ///
    /// Streams that were asked for here and are not open are withdrawn: whoever asked has the local connection and asks
    /// again. Those that the peer asked for and that are not answered are answered by the next process. A stream whose
    /// connection cannot be handed over is reset. Nil: the session had ended.
    package func freeze(farewell: Close) -> FrozenDriver? {
        guard !self.isEnded else { return nil }
        self.leaveLink(farewell)
        // What the link brought last may have ended it.
        guard !self.isEnded else { return nil }
        let now = self.environment.now
        var connections: [FrozenConnection] = []
        for id in self.locals.keys.sorted() {
            // One that the session is done with has nothing left to carry, and closes by itself.
            guard let local = self.locals[id], self.session.isLive(id) else { continue }
            if local.socket == nil, local.isOpenedHere {
                self.cancel(id)
                continue
            }
            var connection = FrozenConnection(
                id: id, open: local.open, isOpenedHere: local.isOpenedHere, isOpen: local.isOpen, age: now - local.since,
                socket: nil)
            if let socket = local.socket {
                guard let frozen = socket.freeze() else {
                    self.session.reset(id, .connectionReset)
                    continue
                }
                if !frozen.unread.isEmpty { self.session.send(id, frozen.unread) }
                if frozen.untold > 0 { self.session.consumed(id, frozen.untold) }
                connection.socket = frozen
                connection.socket?.unread = ByteBuffer()
            }
            connections.append(connection)
        }
        self.session.detach(now: now)
        let frozen = FrozenDriver(session: self.session.freeze(), connections: connections)
        self.retire()
        return frozen
    }

    private func leaveLink(_ farewell: Close) {
        guard let link = self.link else { return }
        self.pump()
        self.detachLink(saying: farewell, link)
    }

    /// Goes on with a session that another process has frozen. It has no link yet; a session whose parts do not fit together is
    /// lost, and its sockets with it.
    ///
    /// - Parameters:
    ///   - descriptor: finds a socket again; nil: it is gone, and its stream is reset.
    ///   - completion: called once every connection is in its place, with how many streams were lost.
    package static func thaw(
        _ frozen: FrozenDriver, configuration: SessionConfiguration, environment: TransportEnvironment, pairs: SharedPairs,
        descriptor: (FrozenSocket) -> CInt?, completion: @escaping (_ lost: Int) -> Void
    ) throws(ThawError) -> SessionDriver {
        let session = try Session(thawing: frozen.session, configuration: configuration, now: environment.now)
        let driver = SessionDriver(session, environment: environment)
        let group = ThawGroup(driver, completion)
        let known = Set(frozen.session.streams.map(\.id))
        for connection in frozen.connections where known.contains(connection.id) {
            driver.locals[connection.id] = LocalStream(
                open: connection.open, isOpenedHere: connection.isOpenedHere, since: environment.now + (.zero - connection.age),
                isOpen: connection.isOpen)
            guard let socket = connection.socket else {
                driver.wanted.append((connection.id, connection.open))
                continue
            }
            guard let open = descriptor(socket) else {
                group.lost(connection.id)
                continue
            }
            group.adopt(socket, open, pairs.mark(of: socket), as: connection.id)
        }
        // What the session knows and nobody has a connection for. One whose connection had ended in order is not among the
        // lost: the session has the last of its bytes, and sends them.
        let unheld = known.subtracting(frozen.connections.map(\.id))
        let ended = Set(frozen.session.streams.filter { $0.isLocalFinished && $0.isRemoteFinished }.map(\.id))
        for id in unheld.subtracting(ended).sorted() { group.lost(id) }
        group.seal()
        return driver
    }

    /// Asks for what the peer had asked for and the other process had not answered. To be called once there is a delegate.
    package func goOn() {
        self.askForWanted()
        self.planTimer()
        self.planPump()
    }
}

/// Waits until the sockets of a session are channels again. Bound to the event loop.
private final class ThawGroup {
    private let driver: SessionDriver
    private var completion: ((Int) -> Void)?
    private var pending = 1
    private var lostCount = 0

    init(_ driver: SessionDriver, _ completion: @escaping (Int) -> Void) {
        self.driver = driver
        self.completion = completion
    }

    func lost(_ id: StreamID) {
        self.lostCount += 1
        self.driver.locals[id] = nil
        self.driver.environment.metrics.reset(.connectionReset)
        self.driver.session.reset(id, .connectionReset)
    }

    func adopt(_ socket: FrozenSocket, _ descriptor: CInt, _ mark: ResetMark?, as id: StreamID) {
        self.pending += 1
        StreamSocket.thaw(socket, descriptor, mark, self.driver.environment) { result in
            if let socket = result {
                self.driver.locals[id]?.socket = socket
                socket.attach(to: self.driver, as: id)
            } else {
                self.lost(id)
            }
            self.seal()
        }
    }

    func seal() {
        self.pending -= 1
        guard self.pending == 0 else { return }
        self.completion?(self.lostCount)
        self.completion = nil
    }
}

extension StreamSocket {
    /// Makes a channel of a connection that another process had. `completion` is called once, on the event loop; nil: it is gone.
    static func thaw(
        _ frozen: FrozenSocket, _ descriptor: CInt, _ mark: ResetMark?, _ environment: TransportEnvironment,
        completion: @escaping (StreamSocket?) -> Void
    ) {
        let allocator = StreamReadAllocator(pool: environment.pool, sizing: environment.sizing)
        ClientBootstrap(group: environment.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try StreamOptions.apply(to: channel, allocator)
                    try channel.pipeline.syncOperations.addHandler(StreamSocket(thawing: frozen, mark: mark))
                }
            }
            .withConnectedSocket(descriptor)
            .assumeIsolated()
            .whenComplete { result in
                let socket = try? result.get().pipeline.syncOperations.handler(type: StreamSocket.self)
                if socket == nil { mark?.raise() }
                completion(socket)
            }
    }
}

extension ByteBuffer {
    fileprivate var isEmpty: Bool { self.readableBytes == 0 }
}
