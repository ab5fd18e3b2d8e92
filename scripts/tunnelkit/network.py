"""Ports and certificates on the loopback interface."""

import socket
import subprocess
from pathlib import Path

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below the ephemeral range so that no outgoing connection takes them meanwhile."""
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = []
    for port in range(lowest_ephemeral - 1, 10_000, -1):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports between 10000 and {lowest_ephemeral} on {LOOPBACK}")


def free_range(count: int) -> tuple[int, int]:
    """So many free ports in a row, as the first and the last of them, in the range that gotunnel takes by itself."""
    for first in range(20_000, 30_000, count):
        if all(is_free(port) for port in range(first, first + count)):
            return first, first + count - 1
    raise RuntimeError(f"no {count} free ports in a row between 20000 and 30000")


def is_free(port: int) -> bool:
    """Whether a listener can be bound to the port on all interfaces."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Whether a connection to the port is accepted."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def make_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Makes a self-signed ECDSA P-256 certificate for 127.0.0.1 to 127.0.0.3. Returns the paths of certificate and key."""
    addresses = ",".join(f"IP:127.0.0.{number}" for number in (1, 2, 3))
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={addresses},DNS:localhost",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )
    key.chmod(0o600)
    return certificate, key
