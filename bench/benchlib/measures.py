"""What is measured: each measure runs a load generator against one route and returns figures by name."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .routes import RAW, WEB, Route, find_program

GB = 1e9


class Void(Exception):
    """A measurement that says nothing: the generator failed, or requests did."""


@dataclass(frozen=True)
class Figure:
    """A number that a measure yields."""
    key: str
    label: str
    unit: str
    more_is_better: bool
    digits: int


@dataclass(frozen=True)
class Measure:
    """A named load. `run` gets a route, the load program and the seconds to run, and returns a value for each figure."""
    name: str
    figures: tuple[Figure, ...]
    run: Callable[[Route, Path, float], dict[str, float]]


def _output_of(command: list, seconds: float) -> str:
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=seconds * 4 + 60)
    if result.returncode != 0:
        raise Void(f"'{' '.join(words)}' ended with code {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def _bulk(direction: str, streams: int) -> Measure:
    """Bulk transfer: throughput, and what it costs both relays."""
    key = f"{direction}{streams}"
    label = f"bulk {direction}, {streams} stream{'s' if streams > 1 else ''}"

    def run(route: Route, load: Path, seconds: float) -> dict[str, float]:
        before = route.cpu_seconds()
        result = json.loads(_output_of([load, "pump", route.ports[RAW], direction, streams, seconds], seconds))
        spent = route.cpu_seconds() - before
        return {
            f"{key}_gbit": result["bytes"] * 8 / GB / result["seconds"],
            f"{key}_cpu": spent / (result["bytes"] / GB),
        }

    return Measure(f"bulk-{direction}-{streams}", (
        Figure(f"{key}_gbit", label, "Gbit/s", True, 2),
        Figure(f"{key}_cpu", "  CPU of both relays", "s/GB", False, 2),
    ), run)


def _run_pingpong(route: Route, load: Path, seconds: float) -> dict[str, float]:
    result = json.loads(_output_of([load, "pingpong", route.ports[RAW], seconds], seconds))
    return {"ping_p50": result["p50_us"], "ping_p99": result["p99_us"]}


def _run_http(route: Route, load: Path, seconds: float) -> dict[str, float]:
    command = [find_program("wrk"), "--threads", 1, "--connections", 64, "--duration", f"{max(1, round(seconds))}s",
               "--latency", f"http://127.0.0.1:{route.ports[WEB]}/"]
    text = _output_of(command, seconds)
    errors = re.search(r"(Socket errors|Non-2xx).*", text)
    if errors:
        raise Void(f"wrk: {errors.group()}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text)
    if not rate or not p99:
        raise Void(f"wrk: cannot read its output:\n{text}")
    milliseconds = float(p99.group(1)) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99.group(2)]
    return {"http_rate": float(rate.group(1)), "http_p99": milliseconds}


def _run_connect(route: Route, load: Path, seconds: float) -> dict[str, float]:
    result = json.loads(_output_of([load, "connect", route.ports[RAW], 16, seconds], seconds))
    return {"connect_rate": result["count"] / result["seconds"], "connect_p99": result["p99_us"] / 1e3}


MEASURES = (
    _bulk("up", 1),
    _bulk("down", 1),
    _bulk("up", 8),
    _bulk("down", 8),
    Measure("pingpong", (
        Figure("ping_p50", "1-byte round trip, p50", "us", False, 0),
        Figure("ping_p99", "  p99", "us", False, 0),
    ), _run_pingpong),
    Measure("http", (
        Figure("http_rate", "HTTP, 64 keep-alive", "req/s", True, 0),
        Figure("http_p99", "  p99", "ms", False, 2),
    ), _run_http),
    Measure("connect", (
        Figure("connect_rate", "new connections, 16 at once", "1/s", True, 0),
        Figure("connect_p99", "  p99", "ms", False, 2),
    ), _run_connect),
)
