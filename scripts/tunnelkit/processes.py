"""Child processes that never outlive their owner."""

import os
import signal
import subprocess
import time
from pathlib import Path

STOP_SECONDS = 10
"""How long a child may take to end by itself after SIGTERM."""


class ChildFailed(Exception):
    """A child process ended when it should not have, or was not usable in time."""


class Children:
    """Starts processes with a log file each and ends all of them, by their ids, on leaving the `with` block."""

    def __init__(self, log_directory: Path):
        self._log_directory = log_directory
        self._running: dict[str, subprocess.Popen] = {}
        self._may_end: set[str] = set()

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_):
        self.stop_all()

    def start(self, name: str, command: list, may_end: bool = False, **options) -> subprocess.Popen:
        """Starts `command`; its output goes to `NAME.log`. It does not get the terminal's Ctrl-C: we end it in order.

        Unless it `may_end` by itself, `check_alive` takes its end for a failure.
        """
        with open(self.log_path(name), "ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, **options,
            )
        self._running[name] = process
        if may_end:
            self._may_end.add(name)
        return process

    def log_path(self, name: str) -> Path:
        """Where the output of the child `name` goes."""
        return self._log_directory / f"{name}.log"

    def check_alive(self):
        """Raises `ChildFailed`, with the end of its log, if a child has ended by itself."""
        for name, process in self._running.items():
            if name not in self._may_end and process.poll() is not None:
                raise ChildFailed(f"{name} ended with code {process.returncode}:\n{self.log_tail(name)}")

    def forget_ended(self) -> dict[str, int]:
        """The children that have ended since the last call, with their codes; a signal's number is negative."""
        ended = {name: process.returncode for name, process in self._running.items() if process.poll() is not None}
        for name in ended:
            del self._running[name]
        return ended

    def log_tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a child's log."""
        return "\n".join(self.log_path(name).read_text(errors="replace").splitlines()[-lines:])

    def stop(self, name: str) -> int | None:
        """Ends one child: SIGTERM, and SIGKILL if that is not enough. Returns its exit code, None if it had to be killed."""
        return self.stop_together([name])[name]

    def stop_together(self, names: list[str]) -> dict[str, int | None]:
        """The same for several at once: all are asked to end before the first is waited for."""
        for name in names:
            if self._running[name].poll() is None:
                self._running[name].send_signal(signal.SIGTERM)
        codes = {}
        for name in names:
            codes[name] = self._wait(self._running[name])
            del self._running[name]
        return codes

    def kill(self, name: str) -> float:
        """SIGKILL, as a crash. Returns the monotonic time just before; the process is gone when this returns."""
        process = self._running.pop(name)
        began = time.monotonic()
        process.kill()
        process.wait()
        return began

    def stop_all(self):
        """Ends all children that are left."""
        self.stop_together(list(self._running))

    @staticmethod
    def _wait(process: subprocess.Popen) -> int | None:
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None


def cpu_seconds(process: subprocess.Popen) -> float:
    """User and system time that a process has used so far, all its threads together (proc(5), fields 14 and 15)."""
    text = Path(f"/proc/{process.pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory_bytes(process: subprocess.Popen) -> int:
    """The most resident memory that a process has had (proc(5), VmHWM)."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def wait_until(what: str, condition, children: Children, seconds: float = 15.0, pause: float = 0.02):
    """Polls `condition`, with a `pause` in seconds, until it returns something true, and returns that.

    Raises `ChildFailed` when time is up.
    """
    deadline = time.monotonic() + seconds
    while True:
        children.check_alive()
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise ChildFailed(f"{what}: not so after {seconds:.0f} s")
        time.sleep(pause)
