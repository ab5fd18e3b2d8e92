import NIOCore

/// An HTTP/1.1 connection that is kept between requests; made again when it dies. On one event loop.
final class KeptConnection {
    private let dialer: Dialer
    private var handler: ExchangeHandler?
    private var channel: (any Channel)?

    init(_ dialer: Dialer) { self.dialer = dialer }

    func make(_ exchange: Exchange) {
        if let handler { return handler.make(exchange) }
        let handler = ExchangeHandler()
        self.handler = handler
        handler.make(exchange)
        self.dialer.connect(handler).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.channel = channel
                channel.closeFuture.assumeIsolated().whenComplete { _ in self.forget(handler) }
            case .failure(let error):
                self.forget(handler)
                exchange.end(Trouble.text(error))
            }
        }
    }

    private func forget(_ handler: ExchangeHandler) {
        guard self.handler === handler else { return }
        self.handler = nil
        self.channel = nil
    }

    func close() { self.channel?.close(promise: nil) }
}
