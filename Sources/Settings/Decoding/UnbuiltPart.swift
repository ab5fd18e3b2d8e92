/// Keys whose part of gotunnel is not built yet: the one table of them. A part that gets built leaves it.
enum UnbuiltPart {
    case etcdEngine, egress, clientRoutes, policyRoutes, mirrorAddresses

    /// What comes of writing such a key.
    enum Effect {
        /// The file is refused: ignoring the key would leave the user without what was asked for. Holds the advice.
        case refused(mend: String)
    }

    var effect: Effect {
        switch self {
        case .etcdEngine: .refused(mend: "write engine: embedded")
        case .egress: .refused(mend: "remove it (exposures with a remote_port reach the clients)")
        case .clientRoutes, .policyRoutes: .refused(mend: "write routes: [] or remove it")
        case .mirrorAddresses: .refused(mend: "write mirror_addresses: false or remove it")
        }
    }
}

extension Report {
    /// Reports the use of a part that is not built yet.
    func unbuilt(_ part: UnbuiltPart, line: Int, key: String) {
        switch part.effect {
        case .refused(let mend): problem(line, key, "not built yet", mend)
        }
    }
}
