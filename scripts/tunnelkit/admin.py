"""The admin API on a Unix socket, and gotunnelctl."""

import http.client
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

from .processes import ChildFailed

PROGRAMS = ("gotunnel-server", "gotunnel-client", "gotunnelctl")


def require_programs(directory: Path):
    """Ends the program with a clear line if the binaries have not been built."""
    for program in PROGRAMS:
        if not (directory / program).exists():
            sys.exit(f"{directory / program} is missing. Build it first:  make build")


def output_of(command: list) -> str:
    """What a command prints on standard output. Raises `ChildFailed` with its complaint unless it ends with 0."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if result.returncode != 0:
        raise ChildFailed(f"'{' '.join(words)}' ended with code {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def make_token(programs: Path, path: Path) -> Path:
    """A new token in a file that must not exist; `gotunnelctl token new` gives it mode 0600."""
    output_of([programs / "gotunnelctl", "token", "new", "--output", path])
    return path


class AdminSocket:
    """GET requests to the admin API on a Unix socket."""

    def __init__(self, path: Path):
        self.path = path

    def get(self, resource: str) -> tuple[int, bytes]:
        """Returns HTTP status and body; status 0 when the socket does not answer."""
        connection = _UnixConnection(self.path)
        try:
            connection.request("GET", resource)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def get_json(self, resource: str):
        """The decoded body of a JSON resource, None unless the answer is 200."""
        status, body = self.get(resource)
        return json.loads(body) if status == 200 else None

    def is_ready(self) -> bool:
        """Whether the process says that it is ready."""
        return self.get("/readyz")[0] == 200

    def counter(self, name: str) -> float:
        """The sum of a metric over its labels in the Prometheus text, 0 if it is not there."""
        status, body = self.get("/metrics")
        if status != 200:
            raise ChildFailed(f"GET /metrics on {self.path}: status {status}")
        pattern = re.compile(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", re.MULTILINE)
        return sum(float(value) for value in pattern.findall(body.decode()))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("localhost", timeout=5)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
