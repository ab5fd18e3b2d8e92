/// The names of the metrics that this version exposes, with their handles: the one place where a name, its help and its labels
/// are written.
///
/// All series of a metric with a fixed set of label values exist from the start, so that a rate over them has a zero to begin
/// with.
package struct TunnelMetrics: Sendable {
    package typealias Counter = MetricsRegistry.Counter
    package typealias Gauge = MetricsRegistry.Gauge
    package typealias Histogram = MetricsRegistry.Histogram

    package let registry: MetricsRegistry

    /// `gotunnel_streams`: open now.
    package let streams: Gauge
    /// `gotunnel_stream_open_seconds`: from the accepted connection to OPENED.
    package let streamOpenSeconds: Histogram
    /// `gotunnel_bytes_total{direction="in"}`: bytes of frames received from links.
    package let bytesIn: Counter
    /// `gotunnel_bytes_total{direction="out"}`: bytes of frames sent to links.
    package let bytesOut: Counter
    /// `gotunnel_session_resumes_total`.
    package let sessionResumes: Counter
    /// `gotunnel_resumed_bytes_total`: bytes sent a second time because a link broke.
    package let resumedBytes: Counter
    /// `gotunnel_session_replay_bytes`: kept until acknowledged, over all sessions.
    package let sessionReplayBytes: Gauge
    /// `gotunnel_heartbeat_rtt_seconds`.
    package let heartbeatRTT: Histogram
    /// `gotunnel_clients`: clients with a session (server only; 0 on a client).
    package let clients: Gauge
    /// `gotunnel_event_loop_lag_seconds`: how late a timer of an event loop ran.
    package let eventLoopLag: Histogram
    /// `gotunnel_open_fds`.
    package let openFds: Gauge
    /// `gotunnel_memory_bytes`: bytes charged to the memory budget.
    package let memory: Gauge
    /// `gotunnel_memory_budget_bytes`: the setting `limits.memory_budget`.
    package let memoryBudget: Gauge
    /// `gotunnel_resident_memory_bytes`: resident set of the process.
    package let residentMemory: Gauge

    package init(registry: MetricsRegistry) {
        self.registry = registry
        streams = registry.gauge("gotunnel_streams", help: "Streams open now.")
        streamOpenSeconds = registry.histogram(
            "gotunnel_stream_open_seconds", help: "Seconds from an accepted connection to its opened stream.")
        let bytesHelp = "Bytes of frames received from links (in) and sent to links (out)."
        bytesIn = registry.counter("gotunnel_bytes_total", help: bytesHelp, labels: [("direction", "in")])
        bytesOut = registry.counter("gotunnel_bytes_total", help: bytesHelp, labels: [("direction", "out")])
        sessionResumes = registry.counter("gotunnel_session_resumes_total", help: "Sessions resumed on a new link.")
        resumedBytes = registry.counter("gotunnel_resumed_bytes_total", help: "Bytes sent a second time after a resumption.")
        sessionReplayBytes = registry.gauge("gotunnel_session_replay_bytes", help: "Bytes kept for replay, over all sessions.")
        heartbeatRTT = registry.histogram("gotunnel_heartbeat_rtt_seconds", help: "Round trips of PING and PONG in seconds.")
        clients = registry.gauge("gotunnel_clients", help: "Clients with a session here.")
        eventLoopLag = registry.histogram(
            "gotunnel_event_loop_lag_seconds", help: "How late the timers of event loops ran, in seconds.")
        openFds = registry.gauge("gotunnel_open_fds", help: "Open file descriptors of the process.")
        memory = registry.gauge("gotunnel_memory_bytes", help: "Bytes charged to the memory budget.")
        memoryBudget = registry.gauge("gotunnel_memory_budget_bytes", help: "The memory budget.")
        residentMemory = registry.gauge("gotunnel_resident_memory_bytes", help: "Resident set size of the process.")
        registry.gauge("gotunnel_build_info", help: "Always 1; the version is the label.", labels: [("version", Version.current)])
            .set(1)
        for state in LinkStatus.State.allCases { _ = links(state) }
        for result in ["accepted", "failed"] { _ = handshakes(result: result) }
        for opener in ["local", "peer"] { _ = streamsOpened(opener: opener) }
        // Their series are made by those who count; the words for them stand here.
        _ = streamsReset(reason: "connection_reset")
        _ = streamRefusals(code: "busy")
        _ = handshakeFailures(reason: "timeout")
        for stage in ["accept", "dial"] {
            _ = registry.counter(
                "gotunnel_hedged_opens_total",
                help: "Streams asked for a second time elsewhere: not accepted in time (accept), accepted but slow (dial).",
                labels: [("stage", stage)])
        }
        _ = registry.counter(
            "gotunnel_failovers_total", help: "Streams asked for elsewhere at once: refused, or the link was lost.")
        _ = registry.counter("gotunnel_held_opens_total", help: "Connections that were held until a session was up.")
        _ = registry.counter("gotunnel_links_lost_total", help: "Links that ended without a good-bye.")
        _ = registry.counter(
            "gotunnel_protocol_violations_total", help: "Sessions ended because the far side broke the protocol.",
            labels: [("kind", "malformed")])
    }

    /// `gotunnel_links{state}`: links by state.
    package func links(_ state: LinkStatus.State) -> Gauge {
        registry.gauge("gotunnel_links", help: "Links by state.", labels: [("state", state.rawValue)])
    }

    /// `gotunnel_streams_opened_total{opener}`: `local` or `peer`.
    package func streamsOpened(opener: String) -> Counter {
        registry.counter(
            "gotunnel_streams_opened_total", help: "Streams opened since the start, by who asked.", labels: [("opener", opener)])
    }

    /// `gotunnel_streams_reset_total{reason}`: streams that ended with a reset.
    package func streamsReset(reason: String) -> Counter {
        registry.counter("gotunnel_streams_reset_total", help: "Streams that ended with a reset.", labels: [("reason", reason)])
    }

    /// `gotunnel_stream_refusals_total{code}`: OPENs that were refused.
    package func streamRefusals(code: String) -> Counter {
        registry.counter("gotunnel_stream_refusals_total", help: "Streams refused by the far side.", labels: [("code", code)])
    }

    /// `gotunnel_handshakes_total{result}`: `accepted` or `failed`.
    package func handshakes(result: String) -> Counter {
        registry.counter("gotunnel_handshakes_total", help: "Handshakes by result.", labels: [("result", result)])
    }

    /// `gotunnel_handshake_failures_total{reason}`.
    package func handshakeFailures(reason: String) -> Counter {
        registry.counter("gotunnel_handshake_failures_total", help: "Failed handshakes by reason.", labels: [("reason", reason)])
    }

    /// Which of the watchdog's margins.
    package enum WatchdogMargin: String, Sendable { case now, lowest }

    /// `gotunnel_watchdog_margin_ratio{which}`: the share of the watchdog's interval that the slowest part left; there only
    /// under a watchdog.
    package func watchdogMargin(_ which: WatchdogMargin) -> Gauge {
        registry.gauge(
            "gotunnel_watchdog_margin_ratio",
            help: "Share of the watchdog interval left when the slowest part answered: at the last beat, and the lowest yet.",
            labels: [("which", which.rawValue)])
    }

    /// Keeps file descriptors and resident memory up to date at each scrape.
    package func observeProcess() {
        registry.onScrape { [openFds, residentMemory] in
            openFds.set(ProcessUsage.openFds())
            residentMemory.set(ProcessUsage.residentBytes())
        }
    }
}
