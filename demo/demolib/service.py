"""An HTTPS service as a program of its own: what the tunnel carries connections to.

    python3 service.py NAME PORT CERTIFICATE KEY FILE

GET /          says who answers
GET /readyz    for health checks
GET /file      sends FILE
PUT /upload    reads the body, answers with its size and SHA-256
POST /count/ID counts ID up by one and answers with the number: a request lost or repeated leaves a gap
"""

import hashlib
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BLOCK = 64 * 1024


class Service(ThreadingHTTPServer):
    """The server and what its requests share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str, port: int, file: Path):
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name
        self.file = file
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def next_number(self, counter: str) -> int:
        """Counts up, and returns the count."""
        with self._lock:
            self._counts[counter] = self._counts.get(counter, 0) + 1
            return self._counts[counter]


class Handler(BaseHTTPRequestHandler):
    """One connection, HTTP/1.1 with keep-alive."""

    protocol_version = "HTTP/1.1"
    timeout = 120
    disable_nagle_algorithm = True
    server: Service

    def do_GET(self):
        """Greeting, health, and the file."""
        if self.path == "/":
            self._answer(f"hello from {self.server.name}\n".encode())
        elif self.path == "/readyz":
            self._answer(b"ok\n")
        elif self.path == "/file":
            self._send_file()
        else:
            self.send_error(404)

    def do_PUT(self):
        """Takes an upload and says what arrived."""
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        received = 0
        while left > 0:
            block = self.rfile.read(min(BLOCK, left))
            if not block:
                break
            digest.update(block)
            received += len(block)
            left -= len(block)
        self._answer(json.dumps({"bytes": received, "sha256": digest.hexdigest()}).encode())

    def do_POST(self):
        """A counter; each path has one of its own."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(f"{self.server.next_number(self.path)}\n".encode())

    def _answer(self, body: bytes):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self):
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.file.stat().st_size))
        self.end_headers()
        with open(self.server.file, "rb") as file:
            while block := file.read(BLOCK):
                self.wfile.write(block)

    def log_message(self, *_):
        """Requests are not logged: the demonstration shows what matters."""


def main(name: str, port: str, certificate: str, key: str, file: str):
    """Serves until the process is ended."""
    service = Service(name, int(port), Path(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # The handshake happens in the connection's own thread, at its first read, not in the accept loop.
    service.socket = context.wrap_socket(service.socket, server_side=True, do_handshake_on_connect=False)
    service.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
