import Foundation
import Identity
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// A stand-in for what a controller offers: an apiserver that answers over HTTPS, and a pattern server.
///
/// One event loop serves both, so that a backend costs its machine little. Its certificate is made anew at each start and
/// kept in memory; nothing in a rehearsal verifies it.
package final class Backend: Sendable {
    /// The most connections of each listener at a time; one more is closed at once.
    static let connectionLimit = 10_000
    /// A connection to the pattern server that does not introduce itself for so long is closed.
    static let introductionLimit = TimeAmount.seconds(30)

    /// The bound address of the HTTPS listener.
    package let httpsAddress: SocketAddress
    /// The bound address of the pattern server.
    package let patternAddress: SocketAddress
    private let group: MultiThreadedEventLoopGroup
    private let tally: BackendTally

    /// What was counted since the start.
    package var stats: BackendStats { tally.stats }

    /// Listens; returns when both listeners accept.
    ///
    /// - Parameters:
    ///   - name: what it calls itself in `X-Server` and to streams (RFC 1123).
    ///   - https: port 0 lets the system choose.
    ///   - pattern: the same.
    ///   - pace: how fast the pattern server sends on each stream.
    package static func start(
        name: String, https: SocketAddress, pattern: SocketAddress, pace: PatternPace = .standard
    ) async throws -> Backend {
        let tls = try tlsContext(name: name)
        let tally = BackendTally()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let website = try await listen(
                https,
                bootstrap(group).childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try serveHTTPS(channel, name: name, tls: tls, tally: tally) }
                })
            let streams = try await listen(
                pattern,
                bootstrap(group).childChannelOption(.allowRemoteHalfClosure, value: true).childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try servePattern(channel, name: name, pace: pace, tally: tally) }
                })
            guard let httpsAddress = website.localAddress, let patternAddress = streams.localAddress else {
                throw ChannelError.alreadyClosed
            }
            return Backend(httpsAddress: httpsAddress, patternAddress: patternAddress, group: group, tally: tally)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private init(
        httpsAddress: SocketAddress, patternAddress: SocketAddress, group: MultiThreadedEventLoopGroup, tally: BackendTally
    ) {
        self.httpsAddress = httpsAddress
        self.patternAddress = patternAddress
        self.group = group
        self.tally = tally
    }

    /// Stops. Streams that still run are reset, because they did not end in order; HTTPS connections are closed.
    package func stop() async throws {
        for channel in tally.patternChannels { channel.reset() }
        try await group.shutdownGracefully()
    }

    private static func bootstrap(_ group: MultiThreadedEventLoopGroup) -> ServerBootstrap {
        // A burst of connections shall wait for the loop, not for a retried SYN.
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    }

    private static func listen(_ address: SocketAddress, _ bootstrap: ServerBootstrap) async throws -> any Channel {
        do {
            return try await bootstrap.bind(to: address).get()
        } catch {
            let place = "\(address.ipAddress ?? "?"):\(address.port ?? 0)"
            throw TrafficProblem("cannot listen on \(place): \(TrafficFailure.text(error)); choose another address or port")
        }
    }

    private static func tlsContext(name: String) throws -> NIOSSLContext {
        let now = Date()
        let issued = try CertificateAuthority.create(cluster: "rehearsal", at: now).issue(role: .server, name: name, at: now)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: NIOSSLCertificate.fromPEMBytes(Array(issued.certificatePEM.utf8)).map { .certificate($0) },
                privateKey: .privateKey(NIOSSLPrivateKey(bytes: Array(issued.keyPEM.utf8), format: .pem))))
    }

    private static func serveHTTPS(_ channel: any Channel, name: String, tls: NIOSSLContext, tally: BackendTally) throws {
        guard tally.accept(channel, at: .https) else { return channel.close(promise: nil) }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(NIOSSLServerHandler(context: tls))
        try pipeline.configureHTTPServerPipeline()
        try pipeline.addHandler(BackendHTTPHandler(name: name, tally: tally))
    }

    private static func servePattern(_ channel: any Channel, name: String, pace: PatternPace, tally: BackendTally) throws {
        guard tally.accept(channel, at: .pattern) else { return channel.close(promise: nil) }
        let stream = BackendStream(channel: channel, tally: tally)
        try channel.pipeline.syncOperations.addHandler(
            PatternHandler(role: .acceptor(name: name), pace: pace, observer: stream))
    }
}

/// The backend's side of one connection to the pattern server.
private final class BackendStream: PatternObserver {
    private let tally: BackendTally
    private let deadline: Scheduled<Void>
    /// A connection that never introduced itself is a health check, and no stream.
    private var isStream = false

    init(channel: any Channel, tally: BackendTally) {
        self.tally = tally
        deadline = channel.eventLoop.scheduleTask(in: Backend.introductionLimit) { channel.close(promise: nil) }
    }

    func patternOpened(by other: String) {
        deadline.cancel()
        isStream = true
        tally.count { $0.patternStreams += 1 }
    }

    func patternArrived() {}

    func patternEnded(_ ending: PatternEnding) {
        deadline.cancel()
        guard isStream else { return }
        tally.count { stats in
            switch ending {
            case .finished: stats.finished += 1
            case .reset: stats.reset += 1
            case .eof: stats.eof += 1
            case .corrupt(_, let harm):
                stats.corrupt += 1
                stats.harms[harm.name, default: 0] += 1
            }
        }
    }
}
