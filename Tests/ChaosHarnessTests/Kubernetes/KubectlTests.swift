import ChaosCore
import Foundation
import Testing

@testable import ChaosHarness

@Suite("A genuine control plane and kubectl, without running them")
struct KubectlTests {
    private static let kubectl = KubectlCommand(program: "/bin/kubectl", kubeconfig: "/f/k", patience: .milliseconds(2_500))

    // MARK: Programs

    @Test("programs are found in the order of the path, and those that are missing are named")
    func programs() {
        let there: Set<String> = ["/a/kubectl", "/b/kubectl", "/b/etcd", "/b/kube-apiserver", "/b/openssl", "kubectl"]
        #expect(
            KubernetesPrograms.find(path: "/a:.::/b", isProgram: there.contains)
                == .all(
                    KubernetesPrograms(
                        apiserver: "/b/kube-apiserver", etcd: "/b/etcd", kubectl: "/a/kubectl", openssl: "/b/openssl")))
        let some = KubernetesPrograms.find(path: "/a", isProgram: there.contains)
        #expect(some == .missing(["kube-apiserver", "etcd", "openssl"]))
        #expect(some.remark == "kube-apiserver, etcd, openssl are not on the PATH: only the built-in stand-in apiserver is used")
        #expect(
            KubernetesPrograms.find(path: "/b", isProgram: { there.contains($0) && $0 != "/b/etcd" }).remark
                == "etcd is not on the PATH: only the built-in stand-in apiserver is used")
        #expect(KubernetesPrograms.find(path: "/b", isProgram: there.contains).remark == nil)
    }

    // MARK: Arguments

    @Test("every request has its configuration and its limit; a watch has no limit")
    func arguments() {
        let base = ["/bin/kubectl", "--kubeconfig", "/f/k", "--cache-dir", "/f/k.cache"]
        for command in [
            Self.kubectl.getTicker(), Self.kubectl.listBlocks(), Self.kubectl.raw("/readyz"), Self.kubectl.tick(3, at: 1.5),
        ] {
            #expect(command.prefix(5) == base[...])
            #expect(command[5] == "--request-timeout=3s")
        }
        let watch = Self.kubectl.watchTicker()
        #expect(watch.prefix(5) == base[...])
        #expect(!watch.contains { $0.hasPrefix("--request-timeout") })
        #expect(Self.kubectl.tick(3, at: 1.5).last == "{\"data\":{\"number\":\"3\",\"at\":\"1.5\"}}")
    }

    @Test("a pod is a namespace and a name, and nothing that kubectl takes for an option")
    func pods() throws {
        let pod = try #require(KubectlPod("kube-system/coredns-0"))
        #expect(Self.kubectl.logs(pod).suffix(5) == ["logs", "--namespace", "kube-system", "coredns-0", "--tail=1"])
        #expect(Self.kubectl.exec(pod).suffix(6) == ["exec", "--namespace", "kube-system", "coredns-0", "--", "true"])
        for text in ["", "a", "a/", "/a", "a/b/c", "a/-b", "-a/b", "A/b", "a/b c"] { #expect(KubectlPod(text) == nil, "\(text)") }
    }

    @Test("certificates are valid for every apiserver and for the forwards")
    func names() {
        let layout = ControlPlaneLayout(
            etcdHost: .loopback, etcdPort: 1, etcdPeerPort: 2,
            apiservers: [
                .init(name: "a", host: StageHost(address: "10.9.0.2", namespace: "n2"), port: 6443),
                .init(name: "b", host: StageHost(address: "10.9.0.1", namespace: "n1"), port: 6443),
            ], folder: "/f")
        #expect(
            layout.extensions["apiserver.ext"]
                == "subjectAltName=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc,IP:10.9.0.1,IP:10.9.0.2,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
        )
    }

    // MARK: What is read

    @Test("a line of a watch is told from what kubectl complains of")
    func ticks() {
        #expect(KubectlTick("MODIFIED 17 1234.5").map { [Double($0.number), $0.at] } == [17, 1234.5])
        #expect(KubectlTick("ADDED 0 0")?.number == 0)
        #expect(KubectlTick("17 1234.5")?.number == 17)
        for line in [
            "", "DELETED 17 1.5", "ERROR 1 1", "MODIFIED x 1", "MODIFIED -1 1", "MODIFIED 1 nan", "1", "a b c d",
            "error: the server",
        ] {
            #expect(KubectlTick(line) == nil, "\(line)")
        }
    }

    @Test("within a watch nothing may be left out, come twice or go back; a new watch may be ahead, never behind")
    func sequence() {
        func wrongs(_ numbers: [Int?]) -> [String] {
            var sequence = KubectlSequence()
            var wrongs: [String] = []
            for number in numbers {
                guard let number else {
                    sequence.begin()
                    continue
                }
                if let wrong = sequence.take(number) { wrongs.append("\(wrong.harm) \(wrong.count)") }
            }
            return wrongs
        }
        #expect(wrongs([nil, 5, 6, 7, nil, 7, 8, nil, 12, 13]) == [])
        #expect(wrongs([nil, 5, 8]) == ["lost 2"])
        #expect(wrongs([nil, 5, 5, 6]) == ["repeated 1"])
        #expect(wrongs([nil, 5, 6, 4, 7]) == ["reordered 2"])
        #expect(wrongs([nil, 5, 6, nil, 5, 7]) == ["reordered 1"], "a new watch that goes back")
    }

    @Test("a list is whole, or it is said what is not")
    func lists() {
        let lines = (0..<KubectlObjects.blocks).map { "\(KubectlObjects.blockName($0)) \(KubectlObjects.block($0))" }
        func trouble(_ lines: [String]) -> String? {
            KubectlObjects.trouble(inList: Array(lines.map { $0 + "\n" }.joined().utf8)).map { "\($0.harm): \($0.why)" }
        }
        #expect(trouble(lines) == nil)
        #expect(trouble(Array(lines.dropLast())) == "lost: 63 blocks instead of 64")
        #expect(trouble(lines + ["x y"]) == "repeated: 65 blocks instead of 64")
        #expect(trouble([]) == "lost: 0 blocks instead of 64")
        var changed = lines
        changed[3] = String(changed[3].dropLast()) + (changed[3].hasSuffix("a") ? "b" : "a")
        #expect(trouble(changed) == "corrupt: gotunnel-chaos-block-103 is changed")
        var swapped = lines
        swapped.swapAt(1, 2)
        #expect(trouble(swapped) == "lost: another block than gotunnel-chaos-block-101 in its place")
        var cut = lines
        cut[0] = KubectlObjects.blockName(0)
        #expect(trouble(cut) == "corrupt: gotunnel-chaos-block-100 is changed")
    }

    @Test("a growing file gives whole lines, each once")
    func growing() throws {
        let path = NSTemporaryDirectory() + "/gotunnel-lines-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var lines = GrowingLines(path)
        #expect(lines.new() == [], "it is not there yet")
        #expect(FileManager.default.createFile(atPath: path, contents: Data("one\ntw".utf8)))
        #expect(lines.new() == ["one"])
        #expect(lines.new() == [])
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data("o\n\nthree\n".utf8))
        #expect(lines.new() == ["two", "", "three"])
    }
}
