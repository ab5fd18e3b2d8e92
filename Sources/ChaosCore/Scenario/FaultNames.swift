extension FaultAction {
    /// As the files write it.
    package var name: String {
        switch self {
        case .kill: "kill"
        case .killWithDisk: "kill_and_lose_disk"
        case .stop: "stop"
        case .restart: "restart"
        case .upgrade: "upgrade"
        case .drain: "drain"
        case .move: "move"
        case .reboot: "reboot"
        case .reset: "reset"
        case .cut: "cut"
        case .cutOneWay: "cut_one_way"
        case .ring: "ring"
        case .flap: "flap"
        case .loss: "loss"
        case .rate: "rate"
        case .delay: "delay"
        case .starve: "starve"
        case .exhaustFiles: "exhaust_files"
        case .fillDisk: "fill_disk"
        case .clock: "clock"
        case .hang: "hang"
        case .rotateToken: "rotate_token"
        case .replaceVoter: "replace_voter"
        case .dropFleet: "drop_fleet"
        }
    }

    /// Whether whom it meets can do nothing for others meanwhile.
    package var takesAway: Bool {
        switch self {
        case .kill, .killWithDisk, .stop, .restart, .upgrade, .drain, .reboot, .cut, .cutOneWay, .flap, .starve, .exhaustFiles,
            .fillDisk, .clock, .hang, .replaceVoter:
            true
        case .move, .reset, .ring, .loss, .rate, .delay, .rotateToken, .dropFleet: false
        }
    }

    /// Whether it happens to links, which are there between network namespaces only.
    package var isOfLinks: Bool {
        switch self {
        case .cut, .cutOneWay, .ring, .flap, .loss, .rate, .delay: true
        default: false
        }
    }
}

extension Target {
    /// As the files write it.
    package var name: String {
        switch self {
        case .named(let name): name
        case .anyServer: "any server"
        case .anyClient: "any client"
        case .anyApiserver: "any apiserver"
        case .eachServer: "each server"
        case .eachClient: "each client"
        case .eachApiserver: "each apiserver"
        case .eachPeer: "each peer"
        case .allServers: "all servers"
        case .allClients: "all clients"
        case .allApiservers: "all apiservers"
        case .leader: "leader"
        case .follower: "follower"
        case .active: "active"
        case .activeApiserver: "active apiserver"
        case .everyone: "everyone"
        }
    }

    /// Those that are not single names.
    package static let words: [Target] = [
        .anyServer, .anyClient, .anyApiserver, .eachServer, .eachClient, .eachApiserver, .eachPeer, .allServers, .allClients,
        .allApiservers, .leader, .follower, .active, .activeApiserver, .everyone,
    ]
}
