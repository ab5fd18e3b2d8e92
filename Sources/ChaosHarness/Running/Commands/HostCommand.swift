/// A command on the host of a member, as a list of arguments.
struct HostCommand: Sendable, Equatable {
    var member: RunningMember
    var words: [String]
    /// Whether it does not matter when it fails.
    var mayFail = false

    init(_ member: RunningMember, _ words: [String], mayFail: Bool = false) {
        self.member = member
        self.words = words
        self.mayFail = mayFail
    }

    /// What is run on this machine for it.
    ///
    /// - Parameter sockets: a folder for the sockets of connections that several commands share; nil: each makes its own.
    func onThisMachine(sockets: String?) -> [String] {
        let whole = (self.member.needsSudo ? ["sudo", "-n", "--"] : []) + self.words
        guard let ssh = self.member.ssh else { return whole }
        // Never a question, and an end when the other side is silent: a fault may well be what makes it so.
        var options = [
            "BatchMode=yes", "ConnectTimeout=5", "ServerAliveInterval=2", "ServerAliveCountMax=3", "LogLevel=ERROR",
        ]
        if let sockets { options += ["ControlMaster=auto", "ControlPath=\(sockets)/%C", "ControlPersist=60"] }
        return ["ssh", "-T"] + options.flatMap { ["-o", $0] } + ["--", ssh, ShellWords.joined(whole)]
    }

    /// For people.
    var text: String { "\(self.member.place): \(ShellWords.joined(self.words))" }
}
