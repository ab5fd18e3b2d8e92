import ChaosCore
import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Who is where on a scenario's stage: names, addresses and files. Every server, client and apiserver has an address of its
/// own, so that all can listen on the ports that they have in a real cluster.
package struct ChaosPlaces: Sendable, Equatable {
    /// A server with the apiserver beside it.
    package struct Server: Sendable, Equatable {
        package let name: String
        package let apiserver: String
        package let host: StageHost
        /// Its host's number in the lab, from 0.
        let index: Int
        /// Whether it waits for another to be replaced.
        let isSpare: Bool
        let socket: String

        var address: String { "\(self.host.address):17000" }
        var apiserverAddress: String { "\(self.host.address):6443" }
    }

    /// A client with the applications on its host.
    package struct Client: Sendable, Equatable {
        package let name: String
        package let host: StageHost
        let index: Int
        let socket: String

        /// Where the forward to the apiserver listens.
        var forward: String { "\(self.host.address):6443" }
        /// The exposure's target.
        var kubelet: String { "\(self.host.address):10250" }
    }

    package let servers: [Server]
    package let clients: [Client]
    /// Where everything of the run is written.
    let folder: String
    /// Where configurations are: services do not see every folder.
    private let configurations: String
    /// Where what does not pass the tunnel is, for the control.
    let controlHost: StageHost

    static let exposure = "kubelet"

    /// - Parameters:
    ///   - hosts: those of the lab, the servers' first; empty: addresses of the loopback that no other run uses.
    ///   - isSupervised: whether the sockets are where units put them.
    init(_ layout: StageLayout, folder: String, hosts: [StageHost]) {
        self.folder = folder
        self.configurations = layout.isSupervised ? "/etc/gotunnel" : folder
        let pid = Int(getpid())
        let network = "127.\(64 + pid / 256 % 64).\(pid % 256)"
        func host(_ index: Int) -> StageHost {
            index < hosts.count ? hosts[index] : StageHost(address: "\(network).\(index + 1)", namespace: nil)
        }
        func socket(_ name: String, _ file: String) -> String {
            layout.isSupervised ? "/run/gotunnel-\(name)/\(file).sock" : "\(folder)/\(name).sock"
        }
        let serverCount = layout.servers + layout.spares
        self.servers = (0..<serverCount).map { index in
            let name = "controller-\(index + 1)"
            return Server(
                name: name, apiserver: "apiserver-\(index + 1)", host: host(index), index: index,
                isSpare: index >= layout.servers, socket: socket(name, "server"))
        }
        self.clients = (0..<layout.clients).map { index in
            let name = "worker-\(index + 1)"
            return Client(name: name, host: host(serverCount + index), index: serverCount + index, socket: socket(name, "client"))
        }
        self.controlHost = host(serverCount)
    }

    /// How many hosts a stage has.
    static func hostCount(_ layout: StageLayout) -> Int { layout.servers + layout.spares + layout.clients }

    func server(_ name: String) -> Server? { self.servers.first { $0.name == name } }
    func client(_ name: String) -> Client? { self.clients.first { $0.name == name } }
    /// The server beside which an apiserver runs.
    func server(of apiserver: String) -> Server? { self.servers.first { $0.apiserver == apiserver } }

    /// The number of somebody's host in the lab; an apiserver's is its server's.
    func hostIndex(_ name: String) -> Int? {
        self.server(name)?.index ?? self.client(name)?.index ?? self.server(of: name)?.index
    }

    func host(_ name: String) -> StageHost? {
        self.server(name)?.host ?? self.client(name)?.host ?? self.server(of: name)?.host
    }

    /// Whether this is one of our programs, rather than what stands around them.
    func isRehearsed(_ name: String) -> Bool { self.server(name) != nil || self.client(name) != nil }

    func file(_ name: String) -> String { "\(self.folder)/\(name)" }
    func log(_ name: String) -> String { self.file("\(name).log") }
    func configuration(_ name: String) -> String { "\(self.configurations)/\(name).yaml" }
    func record(_ name: String) -> String { self.file("\(name).jsonl") }
}
