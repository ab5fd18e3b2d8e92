"""The ways to the same backends that are compared: straight, through two HAProxy, through gotunnel.

Every route leads to two backends on loopback: the raw one (`load serve`) and a web server (nginx). All relays are
started before the first measurement and stay up: an idle relay costs next to nothing.
"""

import os
import shutil
import sys
from pathlib import Path

from tunnelkit.network import LOOPBACK, free_ports, is_listening, make_certificate
from tunnelkit.processes import Children, cpu_seconds, peak_memory_bytes, wait_until
from tunnelkit.tunnel import Forward, Tunnel, TunnelPlan, require_programs

CIPHER = "TLS_AES_128_GCM_SHA256"
RAW, WEB = "raw", "web"


def find_program(name: str) -> str:
    """The path of a program of the system; daemons live in sbin, which a user's PATH may not name."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        sys.exit(f"{name} is not installed. Run:  scripts/setup bench")
    return found


class Route:
    """One way to the backends: a port for each, and the processes that carry the bytes."""

    def __init__(self, ports: dict[str, int], relays: list):
        self.ports = ports
        self._relays = relays

    def cpu_seconds(self) -> float:
        """CPU time used so far by all relays of the route together."""
        return sum(cpu_seconds(relay) for relay in self._relays)

    def peak_memory_bytes(self) -> list[int]:
        """The most memory each relay has had, in the order client's side, server's side."""
        return [peak_memory_bytes(relay) for relay in self._relays]


def start_backends(children: Children, directory: Path, load_program: Path) -> dict[str, int]:
    """Starts the raw backend and the web server. Returns their ports."""
    raw_port, web_port = free_ports(2)
    children.start("backend-raw", [load_program, "serve", raw_port])
    configuration = directory / "nginx.conf"
    configuration.write_text(_nginx_configuration(directory, web_port))
    children.start("backend-web", [find_program("nginx"), "-p", directory, "-c", configuration, "-e", "stderr"])
    for port in (raw_port, web_port):
        wait_until(f"a backend listens on {port}", lambda port=port: is_listening(port), children)
    return {RAW: raw_port, WEB: web_port}


def start_direct(backends: dict[str, int], *_) -> Route:
    """No relay at all: what the machine itself can do, and the control of every run."""
    return Route(dict(backends), [])


def start_haproxy(backends: dict[str, int], children: Children, directory: Path) -> Route:
    """Two HAProxy in a row with TLS 1.3 between them; each TCP connection gets a TLS connection of its own.

    Defaults but for the cipher and limits: as many threads as processors, TLS sessions resumed between the two
    (which spares HAProxy most full handshakes), certificates of the kind that gotunnel makes (ECDSA P-256).
    """
    front_raw, front_web, link_raw, link_web = free_ports(4)
    certificate, key = make_certificate(directory, "haproxy")
    bundle = directory / "haproxy.pem"
    bundle.touch(mode=0o600)
    bundle.write_text(certificate.read_text() + key.read_text())
    to_tls = f"ssl verify required ca-file {certificate}"
    front = _haproxy_configuration({
        front_raw: ("", link_raw, to_tls),
        front_web: ("", link_web, to_tls),
    })
    back = _haproxy_configuration({
        link_raw: (f"ssl crt {bundle}", backends[RAW], ""),
        link_web: (f"ssl crt {bundle}", backends[WEB], ""),
    })
    relays = []
    for name, text in (("haproxy-front", front), ("haproxy-back", back)):
        configuration = directory / f"{name}.cfg"
        configuration.write_text(text)
        relays.append(children.start(name, [find_program("haproxy"), "-db", "-f", configuration]))
    for port in (front_raw, front_web, link_raw, link_web):
        wait_until(f"haproxy listens on {port}", lambda port=port: is_listening(port), children)
    return Route({RAW: front_raw, WEB: front_web}, relays)


def start_gotunnel(backends: dict[str, int], children: Children, directory: Path, programs: Path) -> Route:
    """A gotunnel client and server with one link between them; a forward for each backend."""
    require_programs(programs)
    server_port, front_raw, front_web = free_ports(3)
    plan = TunnelPlan(
        directory=directory, programs=programs, server_port=server_port, dial_port=server_port, log_level="notice",
        forwards=[Forward(RAW, backends[RAW], front_raw), Forward(WEB, backends[WEB], front_web)],
    )
    tunnel = Tunnel(plan, children)
    tunnel.write_configuration()
    tunnel.start_server()
    tunnel.start_client()
    return Route({RAW: front_raw, WEB: front_web}, [tunnel.client, tunnel.server])


def _nginx_configuration(directory: Path, port: int) -> str:
    return f"""
daemon off;
master_process off;
worker_rlimit_nofile 8192;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
    server {{
        listen {LOOPBACK}:{port} backlog=4096;
        location / {{ default_type text/plain; return 200 "0123456789abcdef0123456789abcdef\\n"; }}
    }}
}}
"""


def _haproxy_configuration(proxies: dict[int, tuple[str, int, str]]) -> str:
    """A TCP proxy for each listening port: options of its bind line, target port, options of its server line."""
    lines = [
        "global",
        "    maxconn 4000",
        f"    ssl-default-bind-ciphersuites {CIPHER}",
        "    ssl-default-bind-options ssl-min-ver TLSv1.3",
        f"    ssl-default-server-ciphersuites {CIPHER}",
        "    ssl-default-server-options ssl-min-ver TLSv1.3",
        "defaults",
        "    mode tcp",
        "    backlog 4096",
        "    timeout connect 5s",
        "    timeout client 1h",
        "    timeout server 1h",
    ]
    for port, (bind_options, target, server_options) in proxies.items():
        lines += [
            f"listen from-{port}",
            f"    bind {LOOPBACK}:{port} {bind_options}".rstrip(),
            f"    server backend {LOOPBACK}:{target} {server_options}".rstrip(),
        ]
    return "\n".join(lines) + "\n"
