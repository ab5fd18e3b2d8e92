"""What the demonstration prints: steps with the time since the start, and a summary of checks."""

import threading
import time

WIDTH = 78


class Screen:
    """Lines for people; safe to use from several threads."""

    def __init__(self):
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def step(self, text: str):
        """A new step of the demonstration."""
        self._print(f"{self._time()} {text}")

    def detail(self, text: str):
        """Something that happened within a step."""
        self._print(f"{self._time()}     {text}")

    def block(self, title: str, text: str):
        """Output of a program, as it is."""
        self._print(f"\n--- {title} " + "-" * max(0, WIDTH - len(title) - 5))
        self._print(text.rstrip())
        self._print("-" * WIDTH + "\n")

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def _time(self) -> str:
        return f"[{self.elapsed():5.1f} s]"

    def _print(self, line: str):
        with self._lock:
            print(line, flush=True)


class Checks:
    """What was promised and whether it held."""

    def __init__(self):
        self._rows: list[tuple[bool, str, str]] = []

    def add(self, held: bool, what: str, found: str):
        """Records one check with what was found, in a few words."""
        self._rows.append((held, what, found))

    @property
    def all_held(self) -> bool:
        """Whether there was a check, and none failed."""
        return bool(self._rows) and all(held for held, _, _ in self._rows)

    def lines(self) -> list[str]:
        """The summary, at most 80 columns wide."""
        rows = [f"  {'ok  ' if held else 'FAIL'}  {what:26} {found}" for held, what, found in self._rows]
        failed = sum(1 for held, _, _ in self._rows if not held)
        verdict = f"{len(self._rows)} checks, {failed} failed"
        return ["=" * WIDTH, *rows, "=" * WIDTH, verdict]
