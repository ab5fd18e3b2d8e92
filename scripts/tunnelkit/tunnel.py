"""A gotunnel tunnel on this machine, one server and one client: configuration files, processes started and ready."""

from dataclasses import dataclass, field
from pathlib import Path

from .admin import AdminSocket, make_token, require_programs  # noqa: F401 (callers of this module need it as well)
from .network import LOOPBACK
from .plan import CLIENT_NAME, Exposure, Forward, client_lines, forwards_are_healthy, service_lines
from .processes import Children, wait_until


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
        token_file = make_token(self.plan.programs, directory / "token")
        (directory / "server.yaml").write_text(self._server_configuration(token_file))
        (directory / "client.yaml").write_text(self._client_configuration(token_file))

    def start_server(self):
        """Starts the server and waits until it says that it is ready."""
        self.server = self._start("server", "gotunnel-server")
        wait_until("the server is ready", self.server_admin.is_ready, self._children)

    def start_client(self):
        """Starts the client and waits until its link is up and every forward and exposure can be used."""
        self.client = self._start("client", "gotunnel-client")
        wait_until("the client is ready", self.client_admin.is_ready, self._children)
        wait_until("forwards are healthy", self._forwards_healthy, self._children)
        wait_until("exposures are registered and healthy", self._exposures_healthy, self._children)

    def _start(self, name: str, program: str):
        configuration = self.plan.directory / f"{name}.yaml"
        return self._children.start(f"gotunnel-{name}", [self.plan.programs / program, "--config", configuration],
                                    cwd=self.plan.directory)

    def _forwards_healthy(self) -> bool:
        return forwards_are_healthy(self.client_admin.get_json("/v1/status"), self.plan.forwards)

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
            *service_lines(plan.forwards),
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
            *client_lines(plan.forwards, plan.exposures),
        ]
        return "\n".join(lines) + "\n"
