extension Scenario {
    /// What it needs beyond programs and a loopback, in short words.
    package var needs: [String] {
        var needs: [String] = []
        if self.needsRoot { needs.append("root") }
        if self.stage.isSupervised { needs.append("systemd") }
        if self.stage.needsFaultsBuild { needs.append("debug build") }
        return needs
    }

    package var needsRoot: Bool {
        self.stage.network == .namespaces || self.stage.disk != nil || self.stage.isSupervised
            || self.faults.contains { if case .reset = $0.action { true } else { false } }
    }
}
