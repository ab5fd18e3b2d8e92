/// How much is logged.
package enum LogLevel: String, Sendable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

/// In which form it is logged. `auto` is the journal under systemd, else text.
package enum LogFormat: String, Sendable, CaseIterable {
    case auto, text, json, journal
}

/// The original's `log_lang`. Accepted so that old files stay valid; messages are English.
package enum LogLanguage: String, Sendable, CaseIterable {
    case zh, en
}

/// `log_level`, `log_format`, `log_lang`.
package struct LogSettings: Sendable, Equatable {
    /// Default info.
    package var level = LogLevel.info
    /// Default auto.
    package var format = LogFormat.auto
    /// Nil when not written. It changes nothing.
    package var language: LogLanguage?

    /// The defaults.
    package init() {}
}

/// Where the admin API listens.
package struct AdminSettings: Sendable, Equatable {
    /// The path of the Unix socket, at most 107 bytes.
    package var socket: String
    /// The TCP address of the read-only part; off when nil.
    package var address: HostPort?

    /// An admin API at a socket and, if given, at an address.
    package init(socket: String, address: HostPort? = nil) {
        self.socket = socket
        self.address = address
    }
}

/// How long a session outlives its last link, in which it may be resumed.
package struct ResumeWindow: Sendable, Equatable {
    /// While another link of the client is up.
    package var withOtherLinks = Duration.seconds(5)
    /// While none is.
    package var alone = Duration.seconds(30)

    /// The defaults: 5 s and 30 s.
    package init() {}
}
