import Foundation
import Settings

/// Reads the file that names a running cluster:
///
///     cluster: production-eu
///     servers:
///       - {name: controller-1, ssh: root@10.0.0.11, unit: gotunnel-server.service, socket: /run/gotunnel/server.sock}
///     clients:
///       - {name: worker-1}                     # this machine
///     probe: {url: https://127.0.0.1:6443/readyz, every: 100ms}
package enum RunningClusterReader {
    private static let mostBytes = 256 << 10

    /// - Throws: `SettingsError` with every problem of the file, or `Problem` when it cannot be opened.
    package static func read(path: String) throws -> RunningCluster {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Problem(
                file: path, line: nil, key: nil, wrong: "it cannot be read", mend: "name a file that describes the cluster")
        }
        guard data.count <= Self.mostBytes else {
            throw Problem(
                file: path, line: nil, key: nil, wrong: "it is larger than 256 KiB",
                mend: "name a file that describes the cluster")
        }
        return try self.read(String(decoding: data, as: UTF8.self), file: path)
    }

    /// The same of a text. `file` is its name in messages.
    package static func read(_ text: String, file: String) throws -> RunningCluster {
        let report = Report(file: file)
        guard let root = ConfigDocument.parse(text, report: report),
            let section = Section(root, path: "", line: 1, report: report)
        else {
            try report.throwIfAnything()
            throw Problem(file: file, line: nil, key: nil, wrong: "it is no cluster file", mend: "write cluster: and servers:")
        }
        let cluster = self.cluster(section)
        section.finish()
        try report.throwIfAnything()
        return cluster
    }

    private static func cluster(_ section: Section) -> RunningCluster {
        let report = section.report
        let name = self.required("cluster", .clusterName, of: section) ?? ""
        let servers = self.members(.server, "servers", section)
        let clients = self.members(.client, "clients", section)
        if servers.isEmpty {
            report.problem(
                section.line(of: "servers"), "servers", "there is no server",
                "write servers: [{name: controller-1, ssh: root@10.0.0.11}]")
        }
        self.reportDuplicates(servers + clients, report)
        return RunningCluster(
            name: name, servers: servers.map(\.member), clients: clients.map(\.member), probe: self.probe(section),
            control: section.value("gotunnelctl", .path("/usr/local/bin/gotunnelctl")) ?? "gotunnelctl")
    }

    /// A member, and where the file names it.
    private struct Place {
        var member: RunningMember
        var line: Int
        var path: String
    }

    private static func reportDuplicates(_ places: [Place], _ report: Report) {
        for (index, later) in places.enumerated() {
            guard let earlier = places[..<index].first(where: { $0.member.name == later.member.name }) else { continue }
            report.problem(
                later.line, later.path, "this name is already on line \(earlier.line)",
                "give every server and client a name of its own")
        }
    }

    private static func required<Value>(_ key: String, _ rule: Rule<Value>, of section: Section) -> Value? {
        guard section.has(key) else {
            let path = section.keyPath(key)
            section.report.problem(section.line, path, "it is missing", "write \(key): \(rule.example)")
            return nil
        }
        return section.value(key, rule)
    }

    private static func members(_ role: RunningMember.Role, _ key: String, _ section: Section) -> [Place] {
        let example = "{name: \(role == .server ? "controller-1" : "worker-1"), ssh: root@10.0.0.11}"
        return (section.sections(key, example: example, most: 100) ?? []).map { entry in
            defer { entry.finish() }
            let ssh = entry.value("ssh", .sshDestination)
            let member = RunningMember(
                role, self.required("name", .processName, of: entry) ?? "", ssh: ssh,
                needsSudo: entry.value("sudo", .boolean) ?? false,
                unit: entry.value("unit", .unit), socket: entry.value("socket", .socketPath),
                address: entry.value("address", .ipAddress) ?? ssh.flatMap(self.address),
                port: entry.value("port", .port) ?? 17_000)
            return Place(member: member, line: entry.line(of: "name"), path: entry.keyPath("name"))
        }
    }

    /// The address in `root@10.0.0.11`, if it is one.
    private static func address(in ssh: String) -> IPAddress? {
        IPAddress(String(ssh.split(separator: "@").last ?? ""))
    }

    private static func probe(_ section: Section) -> ProbePlan? {
        guard let entry = section.section("probe") else { return nil }
        defer { entry.finish() }
        let direct = entry.value("direct", .probeAddress)
        let every = entry.value("every", .duration(.milliseconds(10) ... .seconds(60), example: "100ms"))
        let patience = entry.value("patience", .duration(.milliseconds(100) ... .seconds(60), example: "10s"))
        guard let url = self.required("url", .probeAddress, of: entry) else { return nil }
        return ProbePlan(url: url, direct: direct, every: every ?? .milliseconds(100), patience: patience ?? .seconds(10))
    }
}

extension Rule where Value == String {
    /// What an operator types to agree: no blanks, nothing that looks like an option.
    fileprivate static let clusterName = Rule("a name of letters, digits, - . and _", example: "production-eu") { text in
        let allowed = text.utf8.allSatisfy { Self.isWordByte($0) || "-._".utf8.contains($0) }
        return (1...100).contains(text.utf8.count) && allowed && !text.hasPrefix("-") ? text : nil
    }

    /// What `ssh` takes for a destination. It is an argument of a command: it must not look like an option.
    fileprivate static let sshDestination = Rule("USER@HOST or a name of ssh_config", example: "root@10.0.0.11") { text in
        let allowed = text.utf8.allSatisfy { Self.isWordByte($0) || "-._@:[]/".utf8.contains($0) }
        return (1...255).contains(text.utf8.count) && allowed && !text.hasPrefix("-") ? text : nil
    }

    /// One service, named in full; no pattern, which systemctl would apply to every service that matches it.
    fileprivate static let unit = Rule("the name of a service", example: "gotunnel-server.service") { text, _ in
        let allowed = text.utf8.allSatisfy { Self.isWordByte($0) || "-._@:\\".utf8.contains($0) }
        guard (1...255).contains(text.utf8.count), allowed, !text.hasPrefix("-") else { return .failure(Complaint()) }
        return text.hasSuffix(".service") ? .success(text) : .failure(Complaint(right: "\(text).service"))
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }
}

extension Rule where Value == ProbeAddress {
    fileprivate static let probeAddress = Rule(
        "an address such as https://HOST:PORT/PATH", example: "https://127.0.0.1:6443/readyz",
        reading: {
            ProbeAddress($0)
        })
}
