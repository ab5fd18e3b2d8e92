import Foundation

/// Connections of `ssh` that the commands of one run share; nil where no folder for them can be made.
struct SharedConnections: Sendable {
    let folder: String?

    init() {
        // A short path: that of a socket is bounded, and ssh adds 40 letters.
        var template = Array("/tmp/gotunnel-chaos-XXXXXX".utf8CString)
        self.folder =
            mkdtemp(&template) == nil ? nil : String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Closes them and removes the folder, also in a task that is cancelled.
    func end(_ cluster: RunningCluster, _ caller: any CommandCaller) async {
        guard let folder else { return }
        await Task.detached {
            for ssh in Set(cluster.members.compactMap(\.ssh)).sorted() {
                _ = await caller.call(
                    ["ssh", "-o", "ControlPath=\(folder)/%C", "-O", "exit", "--", ssh], within: .seconds(5))
            }
            try? FileManager.default.removeItem(atPath: folder)
        }.value
    }
}
