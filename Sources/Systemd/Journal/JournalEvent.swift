/// Events that an operator may want to be woken for. Each has a fixed id, so that `journalctl MESSAGE_ID=…` and alerts find it
/// whatever its words are; ids are never changed and never used again.
///
/// Code that logs such an event gives its name as the metadata `event`; ``JournalLogHandler`` adds the id.
///
/// | event | MESSAGE_ID | what happened |
/// | --- | --- | --- |
/// | `leader-changed` | `fe24dc1fa23d8730ca2909a42c4d800e` | Another server leads the cluster, or none does. |
/// | `peer-dead` | `ad2e9099b01663e26f136c56f90bcd56` | The cluster takes a peer for dead. |
/// | `client-refused` | `0d9ef9627c213e70c34d8abdf0d10136` | A client, or whoever poses as one, was refused: token, certificate or name. |
/// | `servers-refuse` | `9a3a9a5821b8cbed6fb186c1e9c6aae5` | A client's own side: every server refused it, and none ever took it; it ends. |
/// | `service-unhealthy` | `363b5e24cd6479178f26c6ce888711b9` | No target of a service answers its health check. |
/// | `exposure-withdrawn` | `68be3ac3fd90b723a8495cdb1a1da3f6` | An exposure's target is down, so a client has withdrawn it. |
/// | `state-not-written` | `a57170b9d570db70b1db3a3b0ac885c3` | The state directory cannot be written. |
/// | `hook-failed` | `64ae248d8c07778504a9c984cbeba041` | A command of `on_leader` or `on_follower` failed. |
/// | `reload-failed` | `7f40a65ce6e72798c07e6de95a6a4069` | A reload was refused; the old configuration stays. |
/// | `drain-began` | `5a8e89d278b71ddac70b8d8cf10c48c4` | A server drains: new streams go elsewhere. |
/// | `drain-cut-short` | `034999275e77e3ac967ea190bde2925f` | The drain's deadline came first: streams that were left have been reset. |
/// | `watchdog-late` | `4502277c8b1f7412049ea6ce112239bf` | An event loop or the control plane has not answered for half of the watchdog's interval. |
/// | `watchdog-triggered` | `89fc8e14394defe46d76a69f6b3ed6c7` | An event loop or the control plane is stuck: systemd was asked to kill the process. |
/// | `handoff-done` | `e711e02bff4c48c5774dff95daa5424e` | A new process has taken over the streams of the old one. |
/// | `handoff-failed` | `56cbcec02a2b5792d4213bd93c1021f6` | Streams could not be taken over by the new process, or not all: they have been reset. |
package enum JournalEvent: String, CaseIterable, Sendable {
    case leaderChanged = "leader-changed"
    case peerDead = "peer-dead"
    case clientRefused = "client-refused"
    case serversRefuse = "servers-refuse"
    case serviceUnhealthy = "service-unhealthy"
    case exposureWithdrawn = "exposure-withdrawn"
    case stateNotWritten = "state-not-written"
    case hookFailed = "hook-failed"
    case reloadFailed = "reload-failed"
    case drainBegan = "drain-began"
    case drainCutShort = "drain-cut-short"
    case watchdogLate = "watchdog-late"
    case watchdogTriggered = "watchdog-triggered"
    case handoffDone = "handoff-done"
    case handoffFailed = "handoff-failed"

    /// The `MESSAGE_ID` of systemd.journal-fields(7): 128 random bits in hexadecimal.
    package var id: String {
        switch self {
        case .leaderChanged: "fe24dc1fa23d8730ca2909a42c4d800e"
        case .peerDead: "ad2e9099b01663e26f136c56f90bcd56"
        case .clientRefused: "0d9ef9627c213e70c34d8abdf0d10136"
        case .serversRefuse: "9a3a9a5821b8cbed6fb186c1e9c6aae5"
        case .serviceUnhealthy: "363b5e24cd6479178f26c6ce888711b9"
        case .exposureWithdrawn: "68be3ac3fd90b723a8495cdb1a1da3f6"
        case .stateNotWritten: "a57170b9d570db70b1db3a3b0ac885c3"
        case .hookFailed: "64ae248d8c07778504a9c984cbeba041"
        case .reloadFailed: "7f40a65ce6e72798c07e6de95a6a4069"
        case .drainBegan: "5a8e89d278b71ddac70b8d8cf10c48c4"
        case .drainCutShort: "034999275e77e3ac967ea190bde2925f"
        case .watchdogLate: "4502277c8b1f7412049ea6ce112239bf"
        case .watchdogTriggered: "89fc8e14394defe46d76a69f6b3ed6c7"
        case .handoffDone: "e711e02bff4c48c5774dff95daa5424e"
        case .handoffFailed: "56cbcec02a2b5792d4213bd93c1021f6"
        }
    }
}
