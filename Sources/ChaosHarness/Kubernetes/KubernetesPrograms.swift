import Foundation

/// The programs of a genuine control plane and its command line, where this machine has them.
package struct KubernetesPrograms: Sendable, Equatable {
    package var apiserver: String
    package var etcd: String
    package var kubectl: String
    /// Makes the certificates.
    package var openssl: String

    /// Which programs there are, and which are missing.
    package enum Found: Sendable, Equatable {
        case all(KubernetesPrograms)
        case missing([String])

        /// What to tell the operator when not all are there; nil: they are.
        package var remark: String? {
            guard case .missing(let names) = self else { return nil }
            let verb = names.count == 1 ? "is" : "are"
            return "\(names.joined(separator: ", ")) \(verb) not on the PATH: only the built-in stand-in apiserver is used"
        }
    }

    /// Looks for them.
    ///
    /// - Parameters:
    ///   - path: as the variable `PATH`.
    ///   - isProgram: whether a file can be executed.
    package static func find(
        path: String, isProgram: (String) -> Bool = { FileManager.default.isExecutableFile(atPath: $0) }
    ) -> Found {
        let folders = path.split(separator: ":").filter { $0.hasPrefix("/") }
        var missing: [String] = []
        func program(_ name: String) -> String {
            if let found = folders.map({ "\($0)/\(name)" }).first(where: isProgram) { return found }
            missing.append(name)
            return ""
        }
        let programs = KubernetesPrograms(
            apiserver: program("kube-apiserver"), etcd: program("etcd"), kubectl: program("kubectl"), openssl: program("openssl"))
        return missing.isEmpty ? .all(programs) : .missing(missing)
    }

    /// Those of this process's own `PATH`.
    package static func find() -> Found { self.find(path: ProcessInfo.processInfo.environment["PATH"] ?? "") }
}
