/// Where the parts of a genuine control plane are, and how they are called. Pure.
package struct ControlPlaneLayout: Sendable, Equatable {
    /// One kube-apiserver.
    package struct Apiserver: Sendable, Equatable {
        package var name: String
        package var host: StageHost
        package var port: Int

        package init(name: String, host: StageHost, port: Int) {
            self.name = name
            self.host = host
            self.port = port
        }

        var address: String { "\(self.host.address):\(self.port)" }
    }

    /// Where etcd runs: it should not be on a host that is struck, since all apiservers need it.
    package var etcdHost: StageHost
    package var etcdPort: Int
    package var etcdPeerPort: Int
    /// One beside each controller.
    package var apiservers: [Apiserver]
    /// Holds certificates, data and logs.
    package var folder: String

    package init(etcdHost: StageHost, etcdPort: Int, etcdPeerPort: Int, apiservers: [Apiserver], folder: String) {
        self.etcdHost = etcdHost
        self.etcdPort = etcdPort
        self.etcdPeerPort = etcdPeerPort
        self.apiservers = apiservers
        self.folder = folder
    }

    func file(_ name: String) -> String { "\(self.folder)/\(name)" }

    var etcdURL: String { "http://\(self.etcdHost.address):\(self.etcdPort)" }

    func etcdCommand(_ programs: KubernetesPrograms) -> [String] {
        let peers = "http://\(self.etcdHost.address):\(self.etcdPeerPort)"
        return [
            programs.etcd, "--name", "rehearsal", "--data-dir", self.file("etcd"), "--listen-client-urls", self.etcdURL,
            "--advertise-client-urls", self.etcdURL, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
            "--initial-cluster", "rehearsal=\(peers)",
        ]
    }

    func apiserverCommand(_ apiserver: Apiserver, _ programs: KubernetesPrograms) -> [String] {
        [
            programs.apiserver, "--etcd-servers=\(self.etcdURL)", "--bind-address=\(apiserver.host.address)",
            "--advertise-address=\(apiserver.host.address)", "--secure-port=\(apiserver.port)",
            "--tls-cert-file=\(self.file("apiserver.crt"))", "--tls-private-key-file=\(self.file("apiserver.key"))",
            "--client-ca-file=\(self.file("ca.crt"))", "--service-account-key-file=\(self.file("service-accounts.key"))",
            "--service-account-signing-key-file=\(self.file("service-accounts.key"))",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            // It would write its own address for pods to find, and may not: there are none, and loopback is not allowed.
            "--endpoint-reconciler-type=none",
        ]
    }

    /// What the apiservers' certificate is valid for. Forwards listen on addresses of their own: kubectl asks for a name.
    var names: [String] {
        let addresses = Set(self.apiservers.map(\.host.address) + ["127.0.0.1"]).sorted()
        return ["DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default.svc"] + addresses.map { "IP:\($0)" }
    }

    /// A configuration of kubectl, for an administrator.
    ///
    /// - Parameter address: `HOST:PORT`: an apiserver's, or that of a forward to them.
    func kubeconfig(_ address: String) -> String {
        """
        apiVersion: v1
        kind: Config
        clusters:
        - name: rehearsal
          cluster:
            server: https://\(address)
            certificate-authority: \(self.file("ca.crt"))
            tls-server-name: kubernetes
        users:
        - name: admin
          user:
            client-certificate: \(self.file("admin.crt"))
            client-key: \(self.file("admin.key"))
        contexts:
        - name: rehearsal
          context: {cluster: rehearsal, user: admin}
        current-context: rehearsal

        """
    }

    /// The commands that make keys and certificates, in their order; all files go to the folder.
    func certificateCommands(_ programs: KubernetesPrograms) -> [[String]] {
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        func leaf(_ name: String, subject: String) -> [[String]] {
            [
                [programs.openssl, "req", "-new"] + key
                    + ["-keyout", self.file("\(name).key"), "-out", self.file("\(name).csr"), "-subj", subject],
                [
                    programs.openssl, "x509", "-req", "-in", self.file("\(name).csr"), "-CA", self.file("ca.crt"), "-CAkey",
                    self.file("ca.key"), "-CAcreateserial", "-days", "30", "-extfile", self.file("\(name).ext"), "-out",
                    self.file("\(name).crt"),
                ],
            ]
        }
        let authority =
            [programs.openssl, "req", "-x509"] + key
            + ["-days", "30", "-subj", "/CN=gotunnel-chaos", "-keyout", self.file("ca.key"), "-out", self.file("ca.crt")]
        return [authority] + leaf("apiserver", subject: "/CN=kube-apiserver")
            // RBAC takes this group for administrators.
            + leaf("admin", subject: "/O=system:masters/CN=gotunnel-chaos")
            + [
                [
                    programs.openssl, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                    self.file("service-accounts.key"),
                ]
            ]
    }

    /// What the certificates are for, by file name.
    var extensions: [String: String] {
        [
            "apiserver.ext": "subjectAltName=\(self.names.joined(separator: ","))\nextendedKeyUsage=serverAuth\n",
            "admin.ext": "extendedKeyUsage=clientAuth\n",
        ]
    }
}
