"""Medians, ratios pair by pair, a table of at most 80 columns, and the JSON record of a benchmark."""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .measures import Figure

OURS, THEIRS, NONE = "gotunnel", "haproxy", "direct"


@dataclass(frozen=True)
class Goal:
    """What gotunnel should reach: a bound on the median of its ratio to HAProxy."""
    text: str
    keys: tuple[str, ...]
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, ratio: float) -> bool:
        """Whether a ratio is within the bound."""
        return ratio >= self.at_least if self.at_least is not None else ratio <= self.at_most


GOALS = (
    Goal("bulk, 1 stream, at least 1.1 x HAProxy", ("up1_gbit", "down1_gbit"), at_least=1.1),
    Goal("CPU per GB, 1 stream, at most 0.85 x HAProxy", ("up1_cpu", "down1_cpu"), at_most=0.85),
    Goal("new connections at least 3 x HAProxy", ("connect_rate",), at_least=3.0),
)


class Results:
    """Values by figure and route, one for each run, in the order of the runs."""

    def __init__(self, routes: list[str]):
        self.routes = routes
        self.values: dict[str, dict[str, list[float]]] = {}

    def add(self, route: str, figures: dict[str, float]):
        """Adds what one run measured."""
        for key, value in figures.items():
            self.values.setdefault(key, {name: [] for name in self.routes})[route].append(value)

    def ratios(self, key: str) -> list[float]:
        """gotunnel to HAProxy, run by run: the two of a pair ran within seconds of each other."""
        by_route = self.values.get(key, {})
        pairs = zip(by_route.get(OURS, []), by_route.get(THEIRS, []))
        return [ours / theirs for ours, theirs in pairs if theirs > 0]


def table(results: Results, figures: list[Figure]) -> list[str]:
    """Two lines for each figure: medians and, below, the range of the runs."""
    lines = [f"{'':28}{NONE:>11}{THEIRS:>13}{OURS:>13}{'ratio':>13}".rstrip(), "-" * 78]
    for figure in figures:
        by_route = results.values.get(figure.key)
        if by_route is None:
            continue
        medians = [_cell(by_route.get(name, []), figure, middle=True) for name in (NONE, THEIRS, OURS)]
        ranges = [_cell(by_route.get(name, []), figure, middle=False) for name in (NONE, THEIRS, OURS)]
        ratios = results.ratios(figure.key)
        middle = f"{statistics.median(ratios):.2f}" if ratios else ""
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else ""
        lines.append(f"{figure.label:28}{medians[0]:>11}{medians[1]:>13}{medians[2]:>13}{middle:>13}".rstrip())
        lines.append(f"{'    ' + figure.unit:28}{ranges[0]:>11}{ranges[1]:>13}{ranges[2]:>13}{spread:>13}".rstrip())
    return lines


def _cell(values: list[float], figure: Figure, middle: bool) -> str:
    if not values or (figure.key.endswith("_cpu") and max(values) == 0):
        return "-" if middle else ""
    if middle:
        return _number(statistics.median(values), figure)
    return f"{_number(min(values), figure)}-{_number(max(values), figure)}"


def _number(value: float, figure: Figure) -> str:
    if value >= 10_000:
        return f"{value / 1000:.1f}k"
    return f"{value:.{figure.digits}f}"


def judge(results: Results) -> list[tuple[str, float, bool]]:
    """Each goal that was measured: its text, the worst median ratio of its figures, and whether it holds."""
    verdicts = []
    for goal in GOALS:
        medians = [statistics.median(ratios) for key in goal.keys if (ratios := results.ratios(key))]
        if medians:
            worst = min(medians) if goal.at_least is not None else max(medians)
            verdicts.append((goal.text, worst, goal.holds(worst)))
    return verdicts


def machine() -> dict:
    """Where the benchmark ran."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "processors": os.cpu_count(),
        "memory_bytes": int(memory.group(1)) * 1024 if memory else None,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "load_average_at_start": os.getloadavg()[0],
    }


def versions(root: Path, programs: dict[str, list[str]]) -> dict[str, str]:
    """The first line that each program prints when asked for its version, and the commit of the sources."""
    found = {name: _first_line(command) for name, command in programs.items()}
    commit = _first_line(["git", "-C", str(root), "rev-parse", "HEAD"])
    # An empty repository prints the word HEAD.
    if re.fullmatch(r"[0-9a-f]{40,64}", commit):
        changed = _first_line(["git", "-C", str(root), "status", "--porcelain"])
        found["commit"] = commit + ("+changes" if changed else "")
    return found


def _first_line(command: list[str]) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return ""
    return ((result.stdout + result.stderr).strip().splitlines() or [""])[0]


def write_json(path: Path, record: dict):
    """Writes the record; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


def now_utc() -> str:
    """The time as RFC 3339 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
