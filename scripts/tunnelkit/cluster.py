"""A gotunnel cluster on this machine: several servers, a client, their configuration, processes started and ready."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from .admin import AdminSocket, make_token, output_of
from .network import LOOPBACK
from .plan import CLIENT_NAME, Exposure, Forward, client_lines, forwards_are_healthy, service_lines
from .processes import Children, wait_until


@dataclass(frozen=True)
class Member:
    """One server. Servers of one machine differ in their port and in the address that mapped ports listen on."""
    name: str
    port: int
    bind: str
    dial_port: int
    """Where clients are told to find it: a relay may stand there."""
    directory: Path

    @property
    def process(self) -> str:
        """What its process is called among the children."""
        return f"gotunnel-server-{self.name}"

    @property
    def admin(self) -> AdminSocket:
        """Its admin socket."""
        return AdminSocket(self.directory / f"{self.name}.sock")


@dataclass
class ClusterPlan:
    """What a cluster should look like."""
    directory: Path
    programs: Path
    ports: list[int]
    """Of the servers; so many servers there are."""
    picked_ports: str
    """The range of mapped ports, such as `20000-20019`."""
    dial_ports: dict[int, int] = field(default_factory=dict)
    """Where a server's clients find it, by its port, if not there."""
    forwards: list[Forward] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)
    client_options: list[str] = field(default_factory=list)
    log_level: str = "info"

    def members(self) -> list[Member]:
        """controller-1, controller-2, and so on; their mapped ports listen on 127.0.0.1, 127.0.0.2, and so on."""
        return [
            Member(f"controller-{number}", port, f"127.0.0.{number}", self.dial_ports.get(port, port), self.directory)
            for number, port in enumerate(self.ports, start=1)
        ]


@dataclass(frozen=True)
class Leader:
    """Who leads, in which term."""
    name: str
    term: int


class Cluster:
    """Running servers and a client."""

    def __init__(self, plan: ClusterPlan, children: Children):
        self.plan = plan
        self.members = plan.members()
        self._children = children
        self.client_admin = AdminSocket(plan.directory / "client.sock")

    def member(self, name: str) -> Member:
        """The server of that name."""
        return next(member for member in self.members if member.name == name)

    def write_configuration(self):
        """Makes a token and a cluster secret, and writes a configuration file for each process."""
        directory = self.plan.directory
        token = make_token(self.plan.programs, directory / "token")
        secret = make_token(self.plan.programs, directory / "cluster-secret")
        for member in self.members:
            (directory / f"{member.name}.yaml").write_text(self._server_configuration(member, token, secret))
        (directory / "client.yaml").write_text(self._client_configuration(token))

    # Processes

    def start_servers(self):
        """Starts all servers and waits until each says that it is ready."""
        for member in self.members:
            self._start(member.process, "gotunnel-server", member.name)
        for member in self.members:
            wait_until(f"{member.name} is ready", member.admin.is_ready, self._children)

    def start_server(self, member: Member):
        """Starts one server and waits until it is ready."""
        self._start(member.process, "gotunnel-server", member.name)
        wait_until(f"{member.name} is ready", member.admin.is_ready, self._children)

    def start_client(self):
        """Starts the client and waits until every forward works and every exposure has a port on every server."""
        self._start("gotunnel-client", "gotunnel-client", "client")
        wait_until("the client is ready", self.client_admin.is_ready, self._children)
        wait_until("forwards are healthy", self._forwards_healthy, self._children)
        for member in self.members:
            wait_until(f"{member.name} knows the exposures", lambda: self._knows_exposures(member), self._children)

    def kill(self, member: Member) -> float:
        """SIGKILL. Returns when, by the monotonic clock."""
        return self._children.kill(member.process)

    # Looking

    def leader(self, members: list[Member], after_term: int = 0) -> Leader | None:
        """Whom all these servers take for the leader, in one term later than `after_term`; None while they do not agree."""
        found = set()
        for member in members:
            status = member.admin.get_json("/v1/status")
            if not status or not status["leader"] or status["term"] <= after_term:
                return None
            found.add(Leader(status["leader"], status["term"]))
        return found.pop() if len(found) == 1 else None

    def wait_for_leader(self, members: list[Member], after_term: int = 0) -> Leader:
        """Waits until these servers agree on a leader."""
        return wait_until("the servers agree on a leader", lambda: self.leader(members, after_term), self._children,
                          pause=0.005)

    def control(self, member: Member, *arguments: str) -> str:
        """The output of `gotunnelctl ARGUMENTS` on a server's admin socket."""
        return output_of([self.plan.programs / "gotunnelctl", *arguments, "--socket", member.admin.path])

    def mapped_ports(self, member: Member) -> dict[str, int | None]:
        """The port of each exposure as `gotunnelctl exposures --json` of a server has it, None while there is none."""
        return {row["name"]: row["port"] for row in json.loads(self.control(member, "exposures", "--json"))}

    def links(self) -> dict[str, str]:
        """The servers that the client has a link to, with its state."""
        status = self.client_admin.get_json("/v1/status") or {"links": []}
        return {link["server"]: link["state"] for link in status["links"] if link["server"] and link["state"] != "down"}

    def _forwards_healthy(self) -> bool:
        return forwards_are_healthy(self.client_admin.get_json("/v1/status"), self.plan.forwards)

    def _knows_exposures(self, member: Member) -> bool:
        listed = member.admin.get_json("/v1/exposures") or []
        usable = {row["name"] for row in listed if row["healthy"] and row["port"] is not None}
        return all(exposure.name in usable for exposure in self.plan.exposures)

    # Configuration

    def _start(self, process: str, program: str, configuration: str):
        command = [self.plan.programs / program, "--config", self.plan.directory / f"{configuration}.yaml"]
        self._children.start(process, command, cwd=self.plan.directory)

    def _server_configuration(self, member: Member, token: Path, secret: Path) -> str:
        peers = ", ".join(f'"{LOOPBACK}:{other.port}"' for other in self.members)
        lines = [
            "server:",
            f"  name: {member.name}",
            f'  addr: "{LOOPBACK}:{member.port}"',
            f'  advertise: ["{LOOPBACK}:{member.dial_port}"]',
            f"  token_file: {token}",
            f"  state_dir: {self.plan.directory / member.name}",
            f"  log_level: {self.plan.log_level}",
            "  cluster:",
            f'    advertise: "{LOOPBACK}:{member.port}"',
            f"    peers: [{peers}]",
            f"    secret_file: {secret}",
            f'  exposures: {{bind: {member.bind}, ports: ["{self.plan.picked_ports}"]}}',
            f"  admin: {{socket: {member.admin.path}}}",
            "  drain_timeout: 2s",
            *service_lines(self.plan.forwards),
        ]
        return "\n".join(lines) + "\n"

    def _client_configuration(self, token: Path) -> str:
        addresses = ", ".join(f'"{LOOPBACK}:{member.dial_port}"' for member in self.members)
        lines = [
            "client:",
            f"  name: {CLIENT_NAME}",
            f"  token_file: {token}",
            f"  server_addrs: [{addresses}]",
            "  links: 2",
            f"  state_dir: {self.plan.directory / 'client-state'}",
            f"  log_level: {self.plan.log_level}",
            f"  admin: {{socket: {self.client_admin.path}}}",
            *(f"  {option}" for option in self.plan.client_options),
            *client_lines(self.plan.forwards, self.plan.exposures),
        ]
        return "\n".join(lines) + "\n"
