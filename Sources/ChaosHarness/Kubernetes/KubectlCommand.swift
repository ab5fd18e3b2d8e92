/// Arguments of kubectl. Pure.
struct KubectlCommand: Sendable, Equatable {
    var program: String
    var kubeconfig: String
    /// After this a request has failed.
    var patience: Duration

    /// What kubectl remembers of the API goes beside the configuration, not to somebody's home.
    private var base: [String] { [self.program, "--kubeconfig", self.kubeconfig, "--cache-dir", "\(self.kubeconfig).cache"] }
    private var limit: String { "--request-timeout=\(max(1, Int(self.patience.inSeconds.rounded(.up))))s" }

    /// The body of a path of the API.
    func raw(_ path: String) -> [String] { self.base + [self.limit, "get", "--raw", path] }

    func create(_ file: String) -> [String] { self.base + [self.limit, "create", "--filename", file] }

    /// Number and time of the ticker, in a line of `KubectlTick`.
    func getTicker() -> [String] {
        self.base + [self.limit, "get", "configmap", KubectlObjects.ticker, "--output", "jsonpath={.data.number} {.data.at}"]
    }

    /// All blocks, each a line with its name and its text.
    func listBlocks() -> [String] {
        self.base + [
            self.limit, "get", "configmaps", "--selector", KubectlObjects.selector, "--output",
            "jsonpath={range .items[*]}{.metadata.name} {.data.block}{\"\\n\"}{end}",
        ]
    }

    /// Goes on until it is ended or the connection breaks: a line of `KubectlTick` for what is there, and for each change. It
    /// has no limit: kubectl would end a watch by it.
    func watchTicker() -> [String] {
        self.base + [
            "get", "configmap", KubectlObjects.ticker, "--watch", "--output-watch-events", "--output",
            "jsonpath={.type} {.object.data.number} {.object.data.at}{\"\\n\"}",
        ]
    }

    /// Writes the ticker's next number, and when: seconds of CLOCK_MONOTONIC.
    func tick(_ number: Int, at: Double) -> [String] {
        self.base + [
            self.limit, "patch", "configmap", KubectlObjects.ticker, "--type", "merge", "--patch",
            "{\"data\":{\"number\":\"\(number)\",\"at\":\"\(at)\"}}",
        ]
    }

    /// The last line of a pod's log; needs a kubelet.
    func logs(_ pod: KubectlPod) -> [String] {
        self.base + [self.limit, "logs", "--namespace", pod.namespace, pod.name, "--tail=1"]
    }

    /// A command in a pod that does nothing; needs a kubelet.
    func exec(_ pod: KubectlPod) -> [String] {
        self.base + [self.limit, "exec", "--namespace", pod.namespace, pod.name, "--", "true"]
    }
}

/// A pod on a worker whose kubelet is reached through the tunnel.
package struct KubectlPod: Sendable, Equatable {
    package var namespace: String
    package var name: String

    /// Of `NAMESPACE/NAME`; nil: it is none.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let isName: (String) -> Bool = { part in
            (1...253).contains(part.utf8.count) && !part.hasPrefix("-")
                && part.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) || "-.".utf8.contains($0) }
        }
        guard parts.count == 2, parts.allSatisfy(isName) else { return nil }
        (self.namespace, self.name) = (parts[0], parts[1])
    }
}
