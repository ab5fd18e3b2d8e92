import Admin
import Settings

/// The admin API's listeners, inherited or new, with what the next process has to know of them.
struct AdminSockets: Sendable {
    private(set) var listeners: [AdminListener] = []
    private var roles: [(role: SocketRole, isActivated: Bool)] = []

    init(_ settings: AdminSettings, inherited: InheritedSockets) throws {
        if let socket = inherited.take(.admin) {
            let file = socket.isActivated ? nil : settings.socket
            self.listeners.append(try .inherited(socket.descriptor, file: file))
            self.roles.append((.admin, socket.isActivated))
        } else {
            self.listeners.append(try .unix(path: settings.socket))
            self.roles.append((.admin, false))
        }
        guard let address = settings.address else { return }
        let socket = inherited.take(.adminTCP)
        self.listeners.append(try socket.map { try .inherited($0.descriptor) } ?? .tcp("\(address)"))
        self.roles.append((.adminTCP, false))
    }

    /// For the next process.
    func duplicates() -> [HandoffListener] {
        zip(self.listeners, self.roles).compactMap { listener, entry in
            listener.duplicate().map { HandoffListener(entry.role, $0, isActivated: entry.isActivated) }
        }
    }
}
