"""A gotunnel cluster on this machine: servers, clients, their configuration, processes started and ready."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from .admin import AdminSocket, make_token, output_of
from .network import LOOPBACK
from .plan import CLIENT_NAME, ClientPlan, Forward, client_lines, forwards_are_healthy, service_lines
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
    services: list[Forward] = field(default_factory=list)
    """What each server offers."""
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
    """Running servers and clients."""

    def __init__(self, plan: ClusterPlan, children: Children):
        self.plan = plan
        self.members = plan.members()
        self._children = children

    def member(self, name: str) -> Member:
        """The server of that name."""
        return next(member for member in self.members if member.name == name)

    def client_admin(self, name: str = CLIENT_NAME) -> AdminSocket:
        """The admin socket of a client."""
        return AdminSocket(self.plan.directory / f"{name}.sock")

    def write_configuration(self):
        """Makes a token and a cluster secret, and writes a configuration file for each server."""
        directory = self.plan.directory
        self._token = make_token(self.plan.programs, directory / "token")
        secret = make_token(self.plan.programs, directory / "cluster-secret")
        for member in self.members:
            (directory / f"{member.name}.yaml").write_text(self._server_configuration(member, secret))

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

    def start_client(self, client: ClientPlan):
        """Starts a client and waits until its forwards work and every server knows its exposures, with their ports."""
        (self.plan.directory / f"{client.name}.yaml").write_text(self._client_configuration(client))
        self._start(self.client_process(client.name), "gotunnel-client", client.name)
        admin = self.client_admin(client.name)
        wait_until(f"{client.name} is ready", admin.is_ready, self._children)
        wait_until("forwards are healthy",
                   lambda: forwards_are_healthy(admin.get_json("/v1/status"), client.forwards), self._children)
        for member in self.members:
            wait_until(f"{member.name} knows the exposures", lambda: self._knows_exposures(member, client), self._children)

    @staticmethod
    def client_process(name: str) -> str:
        """What a client's process is called among the children."""
        return f"gotunnel-client-{name}"

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

    def mapped_ports(self, member: Member, client: str = CLIENT_NAME) -> dict[str, int | None]:
        """The port of each exposure as `gotunnelctl exposures --json` of a server has it, None while there is none."""
        rows = json.loads(self.control(member, "exposures", "--json"))
        return {row["name"]: row["port"] for row in rows if row["client"] == client}

    def links(self, client: str = CLIENT_NAME) -> dict[str, str]:
        """The servers that a client has a link to, with its state."""
        status = self.client_admin(client).get_json("/v1/status") or {"links": []}
        return {link["server"]: link["state"] for link in status["links"] if link["server"] and link["state"] != "down"}

    @staticmethod
    def _knows_exposures(member: Member, client: ClientPlan) -> bool:
        listed = member.admin.get_json("/v1/exposures") or []
        usable = {row["name"] for row in listed if row["client"] == client.name and row["healthy"] and row["port"] is not None}
        return all(exposure.name in usable for exposure in client.exposures)

    # Configuration

    def _start(self, process: str, program: str, configuration: str):
        command = [self.plan.programs / program, "--config", self.plan.directory / f"{configuration}.yaml"]
        self._children.start(process, command, cwd=self.plan.directory)

    def _server_configuration(self, member: Member, secret: Path) -> str:
        peers = ", ".join(f'"{LOOPBACK}:{other.port}"' for other in self.members)
        lines = [
            "server:",
            f"  name: {member.name}",
            f'  addr: "{LOOPBACK}:{member.port}"',
            f'  advertise: ["{LOOPBACK}:{member.dial_port}"]',
            f"  token_file: {self._token}",
            f"  state_dir: {self.plan.directory / member.name}",
            f"  log_level: {self.plan.log_level}",
            "  cluster:",
            f'    advertise: "{LOOPBACK}:{member.port}"',
            f"    peers: [{peers}]",
            f"    secret_file: {secret}",
            f'  exposures: {{bind: {member.bind}, ports: ["{self.plan.picked_ports}"]}}',
            f"  admin: {{socket: {member.admin.path}}}",
            "  drain_timeout: 2s",
            *service_lines(self.plan.services),
        ]
        return "\n".join(lines) + "\n"

    def _client_configuration(self, client: ClientPlan) -> str:
        addresses = ", ".join(f'"{LOOPBACK}:{port}"' for port in client.dial_ports)
        lines = [
            "client:",
            f"  name: {client.name}",
            f"  token_file: {self._token}",
            f"  server_addrs: [{addresses}]",
            f"  links: {client.links}",
            f"  state_dir: {self.plan.directory / client.name}",
            f"  log_level: {self.plan.log_level}",
            f"  admin: {{socket: {self.client_admin(client.name).path}}}",
            *(f"  {option}" for option in client.options),
            *client_lines(client.forwards, client.exposures),
        ]
        return "\n".join(lines) + "\n"
