import Foundation

/// nginx with a configuration and a prefix of its own in a temporary folder.
enum Nginx {
    /// The body of `/readyz` and `/`.
    static let greeting = "hello from nginx\n"
    /// Size and SHA-256 seed of `/large`.
    static let largeCount = 20 << 20

    /// Starts it on a port of 127.0.0.1 and waits until it listens. Over TLS it speaks HTTP/2 too.
    static func start(port: Int, isTLS: Bool, in folder: TemporaryFolder) async throws -> RunningProgram {
        let nginx = try Programs.installed("nginx")
        if !folder.has("web") { try await prepare(folder) }
        let tls = """
            ssl_certificate "\(folder["web/tls.crt"])"; ssl_certificate_key "\(folder["web/tls.key"])";
            """
        try folder.write(
            "web/nginx.conf",
            """
            daemon off;
            master_process off;
            worker_processes 1;
            pid "\(folder["web/nginx.pid"])";
            error_log stderr warn;
            events { worker_connections 256; }
            http {
              access_log off;
              default_type text/plain;
              client_body_temp_path "\(folder["web/body"])"; proxy_temp_path "\(folder["web/proxy"])";
              fastcgi_temp_path "\(folder["web/fastcgi"])"; uwsgi_temp_path "\(folder["web/uwsgi"])"; scgi_temp_path "\(folder["web/scgi"])";
              server {
                listen 127.0.0.1:\(port)\(isTLS ? " ssl http2" : "");
                \(isTLS ? tls : "")
                root "\(folder["web/root"])";
                location = /readyz { return 200 "hello from nginx\\n"; }
                location = / { return 200 "hello from nginx\\n"; }
              }
            }
            """)
        let program = try RunningProgram.start(
            nginx, ["-p", folder["web"], "-c", folder["web/nginx.conf"], "-e", "stderr"], name: "nginx", in: folder)
        do {
            try await eventually("nginx to listen on \(port)") {
                if let end = program.ended { throw Unmet("nginx has ended: \(end)\n\(program.tail)") }
                return isListening(port) ? true : nil
            }
        } catch {
            await program.stop()
            throw error
        }
        return program
    }

    private static func prepare(_ folder: TemporaryFolder) async throws {
        for name in ["web", "web/root"] { try folder.makeFolder(name, mode: 0o755) }
        var bytes = TestBytes(seed: 42)
        try Data(bytes.next(largeCount)).write(to: URL(filePath: folder["web/root/large"]))
        try await runWell(
            try Programs.installed("openssl"),
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder["web/tls.key"], "-out",
                folder["web/tls.crt"],
            ])
    }
}
