"""What the demonstration plays on: two HTTPS services, a relay that can break, three servers and a client."""

import os
import sys
from pathlib import Path

from demolib.breakable_link import MIB, BreakableLink
from demolib.screen import Checks, Screen
from tunnelkit.cluster import Cluster, ClusterPlan, Member
from tunnelkit.network import free_ports, free_range, is_listening, make_certificate
from tunnelkit.plan import CLIENT_NAME, ClientPlan, Exposure, Forward
from tunnelkit.processes import Children, wait_until

FILE_MIB = 32
SERVICE = Path(__file__).resolve().parent / "service.py"

# The client gives a silent link up after 1 s; the silence that the relay makes outlasts it.
CLIENT_OPTIONS = ["heartbeat_interval: 250ms", "heartbeat_timeout: 1s", "health_check_interval: 1s"]


class Stage:
    """Everything that runs, with what the acts need of it."""

    def __init__(self, directory: Path, programs: Path, children: Children, screen: Screen):
        self.directory = directory
        self.children = children
        self.screen = screen
        self.checks = Checks()
        ports = free_ports(8)
        server_ports, self.link_port, self.link_forward = ports[:3], ports[3], ports[4]
        self.apiserver_port, self.kubelet_port, self.forward_port = ports[5:]
        first, last = free_range(20)
        # The relay stands in front of the last server: that is where clients are told to dial it.
        self.link = BreakableLink(self.link_port, server_ports[-1], screen.detail)
        self.cluster = Cluster(ClusterPlan(
            directory=directory, programs=programs, ports=server_ports, picked_ports=f"{first}-{last}",
            dial_ports={server_ports[-1]: self.link_port},
            services=[self.forward_on(self.forward_port)],
        ), children)
        self.worker = ClientPlan(
            CLIENT_NAME, [member.dial_port for member in self.cluster.members], forwards=[self.forward_on(self.forward_port)],
            exposures=[Exposure("kubelet", self.kubelet_port, 0), Exposure("logs", self.kubelet_port, last)],
            options=CLIENT_OPTIONS)

    def forward_on(self, port: int) -> Forward:
        """The forward to the apiserver, on a port of its client."""
        return Forward("apiserver", self.apiserver_port, port, health="type: https, path: /readyz, insecure: true")

    @property
    def behind_relay(self) -> Member:
        """The server that clients reach through the breakable link."""
        return self.cluster.members[-1]

    def make_files(self):
        """A certificate for the services and a file to carry."""
        self.screen.step(f"making a certificate and {FILE_MIB} MiB of random bytes")
        self.certificate, self.key = make_certificate(self.directory, "services")
        self.file = self.directory / "file"
        with open(self.file, "wb") as file:
            for _ in range(FILE_MIB):
                file.write(os.urandom(MIB))

    def start_services(self):
        """The HTTPS services at both ends, and the relay."""
        self.screen.step(f"starting HTTPS services: apiserver (:{self.apiserver_port}) and kubelet (:{self.kubelet_port})")
        for name, port in (("apiserver", self.apiserver_port), ("kubelet", self.kubelet_port)):
            self.children.start(name, [sys.executable, SERVICE, name, port, self.certificate, self.key, self.file])
        for port in (self.apiserver_port, self.kubelet_port):
            wait_until(f"a service listens on {port}", lambda port=port: is_listening(port), self.children)
        self.link.start()

    def start_cluster(self):
        """Secrets, configuration, three servers that found a cluster, and a client."""
        self.screen.step("making a token and a cluster secret (gotunnelctl token new)")
        self.cluster.write_configuration()
        ports = ", ".join(f":{member.port}" for member in self.cluster.members)
        self.screen.step(f"starting three servers ({ports})")
        self.cluster.start_servers()
        leader = self.cluster.wait_for_leader(self.cluster.members)
        self.screen.detail(f"all three agree: {leader.name} leads, term {leader.term}")
        self.screen.step("starting a client that holds links to two of them")
        self.cluster.start_client(self.worker)
        wait_until("the client has two links", lambda: len(self.cluster.links()) == 2, self.children)
        self.kubelet_mapped = self.mapped_ports(self.cluster.members[0])["kubelet"]
        self.screen.detail(f"forward healthy; the leader gave exposure kubelet port {self.kubelet_mapped}")

    def mapped_ports(self, member: Member) -> dict[str, int | None]:
        """Port by exposure, as a server says."""
        return self.cluster.mapped_ports(member)

    def move_client(self, member: Member):
        """Has new streams of the client go by this server, from now on."""
        if self.cluster.links().get(member.name) == "active":
            return
        holder = next(other for other in self.cluster.members if other.name in self.cluster.links())
        self.cluster.control(holder, "move", CLIENT_NAME, member.name)
        wait_until(f"the client prefers {member.name}", lambda: self.cluster.links().get(member.name) == "active", self.children)

    def stop(self):
        """SIGTERM to client and servers; each must end by itself, with code 0."""
        self.screen.step("stopping client and servers (SIGTERM)")
        names = [self.cluster.client_process(CLIENT_NAME), *(member.process for member in self.cluster.members)]
        codes = self.children.stop_together(names)
        wrong = {name: code for name, code in codes.items() if code != 0}
        found = ", ".join(f"{name} {'killed' if code is None else code}" for name, code in wrong.items())
        self.checks.add(not wrong, "orderly end", found or f"{len(codes)} processes, exit code 0 each")
