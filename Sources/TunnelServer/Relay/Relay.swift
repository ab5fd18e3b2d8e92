import NIOCore
import TunnelTransport
import TunnelWire

/// Joins a stream that was asked for on one session with one on another, on the same event loop or not.
///
/// The far stream is asked for first: its refusal is the near one's, so that whoever asked can try elsewhere. Nothing is
/// passed on before the far end has said OPENED.
enum Relay {
    /// - Parameters:
    ///   - id: the stream on `near` that its other end asked for. Called on the loop of `near`.
    ///   - far: the session to pass it on to, with its environment.
    ///   - refused: called on the loop of `near` with what the far end said; nothing has been answered then.
    static func join(
        _ id: StreamID, of near: SessionDriver, to far: FarSession, as open: Open, refused: @escaping (Refusal) -> Void
    ) {
        let end = NearEnd(id, near, refused)
        let bound = NIOLoopBound(end, eventLoop: near.environment.eventLoop)
        StreamPair.make(
            near: near.environment, far: far.environment, onNear: { end.has($0) },
            onFar: { result in far.ask(open, for: result) { verdict in bound.run { $0.judged(verdict) } } })
    }

    /// A session that a stream is passed on to.
    struct FarSession: Sendable {
        let driver: NIOLoopBound<SessionDriver>
        let environment: NIOLoopBound<TransportEnvironment>

        /// To be made on the session's event loop.
        init(_ driver: SessionDriver) {
            let loop = driver.environment.eventLoop
            self.driver = NIOLoopBound(driver, eventLoop: loop)
            self.environment = NIOLoopBound(driver.environment, eventLoop: loop)
        }

        /// On the session's loop. `answer` is called once, there.
        fileprivate func ask(
            _ open: Open, for socket: Result<StreamSocket, Refusal>, answer: @escaping @Sendable (Refusal?) -> Void
        ) {
            let driver = self.driver.value
            do throws(Refusal) {
                let socket = try socket.get()
                let asked = Asked()
                asked.id = try driver.request(open) { progress in
                    switch progress {
                    case .accepted: break
                    case .ended(.opened):
                        if let id = asked.id { driver.adopt(id, socket) }
                        answer(nil)
                    case .ended(.refused(let refusal)):
                        socket.abandon()
                        answer(refusal)
                    case .ended(.reset(let code)):
                        socket.abandon()
                        answer(Refusal(.unreachable, "the stream was reset (\(code.label))"))
                    }
                }
                // The near end is gone before there was an answer.
                socket.onEarlyEnd = {
                    if let id = asked.id { driver.cancel(id) }
                    answer(Refusal(.unreachable, "whoever asked is gone"))
                }
            } catch {
                if case .success(let socket) = socket { socket.abandon() }
                answer(error)
            }
        }

        private final class Asked {
            var id: StreamID?
        }
    }

    /// The near half while the far one is being asked for.
    private final class NearEnd {
        private let id: StreamID
        private let driver: SessionDriver
        private let refused: (Refusal) -> Void
        private var socket: StreamSocket?
        private var isOpened = false
        private var isOver = false

        init(_ id: StreamID, _ driver: SessionDriver, _ refused: @escaping (Refusal) -> Void) {
            self.id = id
            self.driver = driver
            self.refused = refused
        }

        func has(_ result: Result<StreamSocket, Refusal>) {
            switch result {
            case .success(let socket):
                guard !self.isOver else { return socket.abandon() }
                self.socket = socket
                self.serve()
            case .failure(let refusal): self.judged(refusal)
            }
        }

        /// What the far end said; nil: OPENED.
        func judged(_ refusal: Refusal?) {
            guard !self.isOver else { return }
            if let refusal {
                self.isOver = true
                self.socket?.abandon()
                self.refused(refusal)
            } else {
                self.isOpened = true
                self.serve()
            }
        }

        private func serve() {
            guard self.isOpened, let socket = self.socket else { return }
            self.isOver = true
            self.driver.serve(self.id, with: socket)
        }
    }
}

extension NIOLoopBound {
    /// Runs `body` on the loop: at once if this is it.
    func run(_ body: @escaping @Sendable (Value) -> Void) where Value: AnyObject {
        if self.eventLoop.inEventLoop { body(self.value) } else { self.eventLoop.execute { body(self.value) } }
    }
}
