/// What is wrong with the network, and for how long.
extension NamespaceLab {
    /// Begins a fault; it lasts until it is ended, whatever else begins and ends meanwhile.
    package func begin(_ fault: LinkFault) throws -> LinkFaultID {
        if let problem = fault.problem(hosts: self.hosts.count) { throw StageError(problem) }
        return try self.state.withLock { state in
            state.count += 1
            let id = LinkFaultID(number: state.count)
            state.faults[id] = fault
            do {
                try self.apply(fault, &state)
            } catch {
                state.faults[id] = nil
                try? self.apply(fault, &state)
                throw error
            }
            return id
        }
    }

    /// Ends a fault; of one that has ended already there is nothing to do.
    package func end(_ id: LinkFaultID) throws {
        try self.state.withLock { state in
            guard let fault = state.faults.removeValue(forKey: id) else { return }
            try self.apply(fault, &state)
        }
    }

    /// Ends all faults.
    package func heal() throws {
        let ids = self.state.withLock { $0.faults.keys.sorted() }
        for id in ids { try self.end(id) }
    }

    /// The faults at work, in the order in which they began.
    package var faults: [LinkFault] { self.state.withLock { Self.ordered($0) } }

    private static func ordered(_ state: State) -> [LinkFault] { state.faults.sorted { $0.key < $1.key }.map(\.value) }

    /// Makes true of the fault's kind and hosts what all the faults at work say together.
    private func apply(_ fault: LinkFault, _ state: inout State) throws {
        switch fault {
        case .cut, .cutOneWay, .isolate, .loss: try self.filter(LinkRules.text(Self.ordered(state)))
        case .rate(let host, _): try self.limit(host, Self.rate(of: host, Self.ordered(state)))
        case .delay(let host, _): try self.delay(host, &state)
        }
    }

    /// The lowest of a host's rates.
    static func rate(of host: Int, _ faults: [LinkFault]) -> Int? {
        faults.compactMap { if case .rate(host, let bytes) = $0 { bytes } else { nil } }.min()
    }

    /// A host's delays, one after another.
    static func delay(of host: Int, _ faults: [LinkFault]) -> Duration {
        faults.map { if case .delay(host, let delay) = $0 { delay } else { .zero } }.reduce(.zero, +)
    }

    private func limit(_ host: Int, _ rate: Int?) throws {
        guard let name = self.hosts[host].namespace else { return }
        guard let rate else {
            try Shell.run(["tc", "-n", name, "qdisc", "del", "dev", "eth0", "root"])
            return
        }
        // The bucket holds 10 ms, and two packets at least as they are before the kernel splits them (64 KiB).
        let bucket = max(rate / 100, 131_072)
        let words = "root tbf rate \(rate)bps burst \(bucket) latency 400ms".split(separator: " ").map(String.init)
        try Shell.run(["tc", "-n", name, "qdisc", "replace", "dev", "eth0"] + words)
    }

    /// Sets the delay of what a host sends, and leads its cable through a delayed link if it is not yet.
    func delay(_ host: Int, _ state: inout State) throws {
        let whole = self.baseDelay + Self.delay(of: host, Self.ordered(state))
        if let link = state.delays[host] { return link.setDelay(ofFirst: whole) }
        let (far, near, inner) = (Self.delayPort(host), "e\(host + 1)", "br\(host + 1)")
        try Shell.run(["ip", "-n", self.bridge, "link", "add", inner, "type", "bridge"])
        try Shell.run(["ip", "-n", self.bridge, "link", "set", inner, "up"])
        let link = try DelayedLink((self.bridge, near), (self.bridge, far), delay: .zero)
        do {
            try Shell.run(["ip", "-n", self.bridge, "link", "set", near, "master", inner, "up"])
            try self.addPort(far)
            try Shell.run(["ip", "-n", self.bridge, "link", "set", Self.port(host), "master", inner])
        } catch {
            link.stop()
            throw error
        }
        link.setDelay(ofFirst: whole)
        state.delays[host] = link
    }

    // MARK: Cuts by their direction

    /// Which way packets are dropped.
    package enum Cut: String, Sendable, CaseIterable {
        case bothWays, onlyThere, onlyBack
    }

    /// Silently drops what goes from host `one` to host `other`, what comes back, or both, until `heal`.
    package func cut(_ cut: Cut, between one: Int, and other: Int) throws {
        switch cut {
        case .bothWays: _ = try self.begin(.cut(one, other))
        case .onlyThere: _ = try self.begin(.cutOneWay(one, other))
        case .onlyBack: _ = try self.begin(.cutOneWay(other, one))
        }
    }
}
