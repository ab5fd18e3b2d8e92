"""A gotunnel server and client on this machine, configured, started and ready."""

import http.client
import json
import re
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .network import LOOPBACK
from .processes import ChildFailed, Children, wait_until

TOKEN_PATTERN = re.compile(r"\bgt1_[A-Za-z0-9]+_[A-Za-z0-9_-]+")
PROGRAMS = ("gotunnel-server", "gotunnel-client", "gotunnelctl")
CLIENT_NAME = "worker-1"


@dataclass
class Forward:
    """A listener on the client's side for a service behind the server."""
    service: str
    target_port: int
    listen_port: int
    health: str = "type: tcp"
    """The entries of the service's `health` map that say how to check it."""


@dataclass
class Exposure:
    """A program on the client's side that the server reaches on a mapped port."""
    name: str
    target_port: int
    mapped_port: int


@dataclass
class TunnelPlan:
    """What a tunnel should look like. `dial_port` is where the client finds the server: a relay may stand there."""
    directory: Path
    programs: Path
    server_port: int
    dial_port: int
    forwards: list[Forward] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)
    client_options: list[str] = field(default_factory=list)
    log_level: str = "info"


def require_programs(directory: Path):
    """Ends the program with a clear line if the binaries have not been built."""
    for program in PROGRAMS:
        if not (directory / program).exists():
            sys.exit(f"{directory / program} is missing. Build it first:  make build")


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


class Tunnel:
    """A running server and client."""

    def __init__(self, plan: TunnelPlan, children: Children):
        self.plan = plan
        self._children = children
        self.server_admin = AdminSocket(plan.directory / "server.sock")
        self.client_admin = AdminSocket(plan.directory / "client.sock")
        self.server = None
        self.client = None

    def write_configuration(self):
        """Makes a token and writes both configuration files."""
        directory = self.plan.directory
        token_file = directory / "token"
        token_file.touch(mode=0o600)
        token_file.write_text(self._new_token() + "\n")
        (directory / "server.yaml").write_text(self._server_configuration(token_file))
        (directory / "client.yaml").write_text(self._client_configuration(token_file))

    def start_server(self):
        """Starts the server and waits until it says that it is ready."""
        self.server = self._start("server", "gotunnel-server")
        wait_until("the server is ready", lambda: self.server_admin.get("/readyz")[0] == 200, self._children)

    def start_client(self):
        """Starts the client and waits until its link is up and every forward and exposure can be used."""
        self.client = self._start("client", "gotunnel-client")
        wait_until("the client is ready", lambda: self.client_admin.get("/readyz")[0] == 200, self._children)
        wait_until("forwards are healthy", self._forwards_healthy, self._children)
        wait_until("exposures are registered and healthy", self._exposures_healthy, self._children)

    def control(self, *arguments: str) -> str:
        """The output of `gotunnelctl ARGUMENTS` on the server's admin socket."""
        command = [self.plan.programs / "gotunnelctl", *arguments, "--socket", self.server_admin.path]
        return _output_of(command)

    def _start(self, name: str, program: str):
        configuration = self.plan.directory / f"{name}.yaml"
        return self._children.start(f"gotunnel-{name}", [self.plan.programs / program, "--config", configuration],
                                    cwd=self.plan.directory)

    def _new_token(self) -> str:
        output = _output_of([self.plan.programs / "gotunnelctl", "token", "new"])
        found = TOKEN_PATTERN.search(output)
        if not found:
            raise ChildFailed("'gotunnelctl token new' printed no token")
        return found.group()

    def _forwards_healthy(self) -> bool:
        status = self.client_admin.get_json("/v1/status")
        healthy = {forward["service"] for forward in status["forwards"] if forward["healthy"]} if status else set()
        return all(forward.service in healthy for forward in self.plan.forwards)

    def _exposures_healthy(self) -> bool:
        listed = self.server_admin.get_json("/v1/exposures") or []
        healthy = {exposure["port"] for exposure in listed if exposure["healthy"]}
        return all(exposure.mapped_port in healthy for exposure in self.plan.exposures)

    def _server_configuration(self, token_file: Path) -> str:
        plan = self.plan
        lines = [
            "server:",
            "  name: controller-1",
            f'  addr: "{LOOPBACK}:{plan.server_port}"',
            f"  token_file: {token_file}",
            f"  state_dir: {plan.directory / 'server-state'}",
            f"  log_level: {plan.log_level}",
            f"  admin: {{socket: {self.server_admin.path}}}",
            "  drain_timeout: 2s",
        ]
        if plan.forwards:
            lines.append("  services:")
        for forward in plan.forwards:
            lines += [
                f"    {forward.service}:",
                f'      targets: ["{LOOPBACK}:{forward.target_port}"]',
                f"      health: {{{forward.health}, interval: 2s, timeout: 1s}}",
            ]
        return "\n".join(lines) + "\n"

    def _client_configuration(self, token_file: Path) -> str:
        plan = self.plan
        lines = [
            "client:",
            f"  name: {CLIENT_NAME}",
            f"  token_file: {token_file}",
            f'  server_addrs: ["{LOOPBACK}:{plan.dial_port}"]',
            "  links: 1",
            f"  state_dir: {plan.directory / 'client-state'}",
            f"  log_level: {plan.log_level}",
            f"  admin: {{socket: {self.client_admin.path}}}",
            *(f"  {option}" for option in plan.client_options),
        ]
        if plan.forwards:
            lines.append("  forwards:")
        for forward in plan.forwards:
            lines.append(f'    - {{listen: "{LOOPBACK}:{forward.listen_port}", service: {forward.service}}}')
        if plan.exposures:
            lines.append("  exposures:")
        for exposure in plan.exposures:
            target = f"{LOOPBACK}:{exposure.target_port}"
            lines.append(f'    - {{name: {exposure.name}, target: "{target}", remote_port: {exposure.mapped_port}}}')
        return "\n".join(lines) + "\n"


def _output_of(command: list) -> str:
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if result.returncode != 0:
        raise ChildFailed(f"'{' '.join(words)}' ended with code {result.returncode}: {result.stderr.strip()}")
    return result.stdout
