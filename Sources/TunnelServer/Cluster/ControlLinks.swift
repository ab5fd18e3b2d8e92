import ClusterCore
import Logging
import NIOCore
import Timing
import TunnelTransport
import TunnelWire

/// The control links of a server with its peers, dialled and accepted. Bound to the event loop of the control plane.
///
/// Two links between a pair are normal, one dialled by each; the cluster hears of the first and of the last.
final class ControlLinks: ControlHost, PeerLinkOwner {
    private struct Standing {
        var link: PeerLink
        var since: Moment
        /// Where it was dialled; nil for an accepted one.
        var address: PeerAddress?
    }

    private let eventLoop: any EventLoop
    private let logger: Logger
    private let dialer: () -> PeerDialer
    /// What the cluster has to know.
    var onEvent: ((ClusterEvent) -> Void)?
    private var dials = ControlDials()
    private var standing: [ServerName: [Standing]] = [:]
    /// The worst that is known of how links with a peer ended, until the last one has.
    private var endings: [ServerName: LinkEnding] = [:]
    private var rng = SystemRandomNumberGenerator()
    private var timer: Scheduled<Void>?
    private var isStopped = false
    private let complaints = Complaints<PeerAddress>()
    private let refusals = Complaints<ServerName>()

    /// - Parameter dialer: asked for each dial, so that new secrets and a cluster founded meanwhile count.
    init(eventLoop: any EventLoop, logger: Logger, dialer: @escaping () -> PeerDialer) {
        self.eventLoop = eventLoop
        self.logger = logger
        self.dialer = dialer
    }

    // MARK: Whom to dial

    func configure(_ addresses: [PeerAddress]) { self.change { $0.configure(addresses, now: $1) } }

    func learn(_ member: MemberView) {
        self.change { dials, now in
            if member.state == .left {
                dials.forget(member.name, now: now)
            } else {
                dials.learn(member.name, member.addresses, now: now)
            }
        }
    }

    func hurry(_ name: ServerName) { self.change { $0.hurry(name, now: $1) } }

    private func change(_ body: (inout ControlDials, Moment) -> Void) {
        body(&self.dials, BootClock.now)
        self.plan()
    }

    private func plan() {
        self.timer?.cancel()
        guard !self.isStopped, let deadline = self.dials.deadline else { return }
        let wait = max(0, deadline.nanoseconds - BootClock.now.nanoseconds)
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) { [weak self] in self?.dialDue() }
    }

    private func dialDue() {
        guard !self.isStopped else { return }
        for address in self.dials.due(now: BootClock.now) {
            self.dialer().control(
                host: address.host, port: Int(address.port), vet: { [weak self] in self?.objection(to: $0) },
                completion: { [weak self] in self?.dialed(address, $0) })
        }
        self.plan()
    }

    /// One dialled link to each peer is enough.
    private func objection(to peer: Hello) -> Close? {
        let has = self.standing[peer.name]?.contains { $0.address != nil && $0.link.peer.instance == peer.instance } ?? false
        return has ? Close(.superseded, "there is a control link already") : self.imposture(of: peer)
    }

    /// Why a server is not the one that its name belongs to: another state directory is linked under it. A server that lost its
    /// disk is let in as soon as the links of its process before are gone.
    private func imposture(of peer: Hello) -> Close? {
        let isTaken = self.standing[peer.name]?.contains { $0.link.peer.installation != peer.installation } ?? false
        return isTaken ? Close(.forbidden, "two servers are called \(peer.name): give each a name of its own") : nil
    }

    private func dialed(_ address: PeerAddress, _ result: Result<PeerLink, HandshakeError>) {
        let now = BootClock.now
        switch result {
        case .success(let link):
            guard !self.isStopped else { return link.close(Close(.shutdown, "the server stops")) }
            if let objection = self.objection(to: link.peer) {
                link.close(objection)
                self.dials.superfluous(address, peer: link.peer.name, now: now)
            } else {
                self.dials.linked(address, to: link.peer.name)
                self.complaints.reset(address)
                self.add(Standing(link: link, since: now, address: address))
            }
        case .failure(let error):
            if error.failure == .unwanted {
                self.dials.superfluous(address, peer: nil, now: now)
            } else {
                self.dials.failed(address, now: now, rng: &self.rng)
                self.complain(address, error.failure.rawValue, error.detail)
                if error.isConnectionRefused, let name = self.dials.peer(at: address) { self.onEvent?(.dialRefused(name)) }
            }
        }
        self.plan()
    }

    private func complain(_ address: PeerAddress, _ cause: String, _ reason: String) {
        guard self.complaints.admit(address, cause) else { return }
        self.logger.warning(
            "cannot reach peer",
            metadata: ["address": "\(address.host):\(address.port)", "cause": "\(cause)", "reason": "\(reason)"])
    }

    // MARK: Links

    func control(link: PeerLink, from peer: AuthenticatedPeer) {
        guard !self.isStopped else { return link.close(Close(.shutdown, "the server stops")) }
        if let objection = self.imposture(of: link.peer) {
            self.refuse(link, objection)
            return
        }
        // A peer that dials again has lost its old link, even if this end has not noticed.
        let older =
            self.standing[link.peer.name]?.filter { $0.address == nil && $0.link.peer.instance == link.peer.instance } ?? []
        self.add(Standing(link: link, since: BootClock.now, address: nil))
        for old in older { self.drop(old, Close(.superseded, "a newer control link of the same server")) }
    }

    private func refuse(_ link: PeerLink, _ objection: Close) {
        if self.refusals.admit(link.peer.name, objection.reason) {
            self.logger.warning(
                "peer is refused",
                metadata: [
                    "peer": "\(link.peer.name)", "address": "\(link.remoteAddress)", "reason": "\(objection.reason)",
                ])
        }
        link.close(objection)
    }

    private func add(_ new: Standing) {
        let peer = new.link.peer
        // Links of an earlier process of that name are links to nobody.
        for old in self.standing[peer.name] ?? [] where old.link.peer.instance != peer.instance {
            self.endings[peer.name] = .broken
            self.drop(old, Close(.superseded, "another process of this server is linked"))
        }
        let isFirst = self.standing[peer.name, default: []].isEmpty
        self.standing[peer.name, default: []].append(new)
        if isFirst {
            self.endings[peer.name] = nil
            self.logger.info("peer is linked", metadata: ["peer": "\(peer.name)", "address": "\(new.link.remoteAddress)"])
            self.onEvent?(.linked(PeerIdentity(name: peer.name, id: peer.installation, instance: peer.instance)))
        }
        new.link.start(self)
    }

    private func drop(_ old: Standing, _ close: Close) {
        old.link.close(close)
        self.removed(old.link, as: .announced)
    }

    func link(_ link: PeerLink, received message: ByteBuffer) {
        var message = message
        do throws(WireError) {
            self.onEvent?(.received(try ClusterMessage(reading: &message), from: link.peer.name))
        } catch {
            self.logger.warning("peer broke the protocol", metadata: ["peer": "\(link.peer.name)", "reason": "\(error)"])
            link.close(Close(.protocolViolation, error.description))
            self.removed(link, as: .broken)
        }
    }

    func link(_ link: PeerLink, ended end: PeerLinkEnd) {
        if case .announced(let close) = end, close.code == .forbidden,
            let address = self.standing[link.peer.name]?.first(where: { $0.link === link })?.address
        {
            self.complain(address, "forbidden", close.reason)
        }
        let ending: LinkEnding =
            switch end {
            case .announced(let close): close.code == .superseded ? .announced : close.code == .shutdown ? .announced : .broken
            case .broken, .violation: .broken
            case .silent: .silent
            }
        self.removed(link, as: ending)
    }

    private func removed(_ link: PeerLink, as ending: LinkEnding) {
        let name = link.peer.name
        guard let index = self.standing[name]?.firstIndex(where: { $0.link === link }),
            let old = self.standing[name]?.remove(at: index)
        else { return }
        let now = BootClock.now
        if let address = old.address {
            self.dials.lost(address, lasted: now - old.since, now: now, rng: &self.rng)
            self.plan()
        }
        if ending == .broken || self.endings[name] == nil { self.endings[name] = ending }
        guard self.standing[name]?.isEmpty ?? true else { return }
        self.standing[name] = nil
        let worst = self.endings.removeValue(forKey: name) ?? ending
        self.logger.info("peer is not linked any more", metadata: ["peer": "\(name)", "ending": "\(worst)"])
        self.onEvent?(.unlinked(name, worst))
    }

    // MARK: Sending

    /// By a link that takes the message now; dropped when there is none.
    func send(_ message: ByteBuffer, to name: ServerName) {
        for standing in self.standing[name] ?? [] where standing.link.send(message) { return }
    }

    /// Smoothed; nil while there is no link or no measurement.
    func roundTrip(_ name: ServerName) -> Duration? { self.standing[name]?.compactMap(\.link.roundTrip).min() }

    /// Says good-bye to all and dials no more.
    func stop() {
        self.isStopped = true
        self.timer?.cancel()
        for name in self.standing.keys.sorted() {
            for standing in self.standing[name] ?? [] { standing.link.close(Close(.shutdown, "the server stops")) }
        }
        self.standing = [:]
    }
}

/// Complains about somebody once for each reason, until all is well again.
private final class Complaints<Key: Hashable> {
    private var said: [Key: Set<String>] = [:]

    func admit(_ key: Key, _ reason: String) -> Bool { self.said[key, default: []].insert(reason).inserted }

    func reset(_ key: Key) { self.said[key] = nil }
}
