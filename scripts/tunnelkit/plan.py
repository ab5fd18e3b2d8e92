"""What a tunnel should carry, and the lines of configuration that say so."""

from dataclasses import dataclass, field

from .network import LOOPBACK

CLIENT_NAME = "worker-1"
"""Of a tunnel's only client, and of a cluster's first."""


@dataclass(frozen=True)
class Forward:
    """A listener on the client's side for a service behind the servers."""
    service: str
    target_port: int
    listen_port: int
    health: str = "type: tcp"
    """The entries of the service's `health` map that say how to check it."""


@dataclass(frozen=True)
class Exposure:
    """A program on the client's side that the servers reach on a mapped port. Port 0: the leader picks one."""
    name: str
    target_port: int
    mapped_port: int


@dataclass(frozen=True)
class ClientPlan:
    """What a client of a cluster should look like."""
    name: str
    dial_ports: list[int]
    """Where it finds the servers."""
    links: int = 2
    forwards: list[Forward] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    """Further lines of its configuration."""


def service_lines(forwards: list[Forward]) -> list[str]:
    """The `services` of a server."""
    lines = ["  services:"] if forwards else []
    for forward in forwards:
        lines += [
            f"    {forward.service}:",
            f'      targets: ["{LOOPBACK}:{forward.target_port}"]',
            f"      health: {{{forward.health}, interval: 2s, timeout: 1s}}",
        ]
    return lines


def client_lines(forwards: list[Forward], exposures: list[Exposure]) -> list[str]:
    """The `forwards` and `exposures` of a client."""
    lines = ["  forwards:"] if forwards else []
    for forward in forwards:
        lines.append(f'    - {{listen: "{LOOPBACK}:{forward.listen_port}", service: {forward.service}}}')
    if exposures:
        lines.append("  exposures:")
    for exposure in exposures:
        target = f"{LOOPBACK}:{exposure.target_port}"
        lines.append(f'    - {{name: {exposure.name}, target: "{target}", remote_port: {exposure.mapped_port}}}')
    return lines


def forwards_are_healthy(status: dict | None, forwards: list[Forward]) -> bool:
    """Whether a client's `/v1/status` says that every forward would reach its service."""
    healthy = {forward["service"] for forward in status["forwards"] if forward["healthy"]} if status else set()
    return all(forward.service in healthy for forward in forwards)
