import NIOCore
import TunnelSession
import TunnelWire

/// What the local connections of streams say.
extension SessionDriver: StreamSocketOwner {
    func socket(_ id: StreamID, read bytes: consuming ByteBuffer) {
        self.session.send(id, bytes)
        self.planPump()
    }

    func socketFinished(_ id: StreamID) {
        self.session.finish(id)
        self.planPump()
    }

    func socket(_ id: StreamID, consumed bytes: Int) {
        self.session.consumed(id, bytes)
        self.planPump()
    }

    func socketClosed(_ id: StreamID, isClean: Bool) {
        guard let stream = self.locals.removeValue(forKey: id) else { return }
        // After a clean end the session may still have bytes of it to send, and sends them.
        if !isClean, self.session.isLive(id) {
            self.environment.metrics.reset(.connectionReset)
            self.session.reset(id, .connectionReset)
        }
        stream.report?(.ended(.reset(.connectionReset)))
        self.planPump()
    }
}
