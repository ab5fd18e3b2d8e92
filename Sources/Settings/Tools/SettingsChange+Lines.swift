extension SettingsChange {
    /// One line for each key that changed, saying whether it is in force now.
    package var lines: [String] {
        self.live.map { "\($0): changed, in force now" } + self.needsRestart.map { "\($0): changed, needs a restart" }
    }
}
