"""Requests through the tunnel, by curl and by one long-lived connection."""

import hashlib
import http.client
import json
import ssl
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from tunnelkit.processes import ChildFailed, Children

TRANSFER_SECONDS = 60


def curl(certificate: Path, host: str, port: int, path: str = "/", may_fail: bool = False) -> str:
    """One HTTPS request to a port of this machine; the body of the answer.

    Unless the answer is a 2xx, it raises `ChildFailed`, or returns "" if the request `may_fail`.
    """
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--cacert", str(certificate),
               f"https://{host}:{port}{path}"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 0:
        return result.stdout
    if may_fail:
        return ""
    raise ChildFailed(f"curl to {host}:{port} failed: {result.stderr.strip()}")


class Transfer:
    """A large download or upload by curl, in the background."""

    def __init__(self, name: str, children: Children, certificate: Path, url: str, upload: Path | None, output: Path):
        self._name = name
        self._children = children
        self._output = output
        self._began = time.monotonic()
        what = ["--upload-file", upload] if upload else []
        self._process = children.start(name, [
            "curl", "--silent", "--show-error", "--fail", "--max-time", TRANSFER_SECONDS, "--cacert", certificate,
            *what, "--output", output, url], may_end=True)

    def wait(self) -> float:
        """Waits for the end and returns how many seconds it took; raises unless curl is content."""
        code = self._process.wait(TRANSFER_SECONDS + 5)
        if code != 0:
            raise ChildFailed(f"{self._name} failed, curl's code {code}: {self._children.log_tail(self._name)}")
        return time.monotonic() - self._began

    def answer(self) -> dict:
        """The JSON that the service answered with."""
        return json.loads(self._output.read_text())

    def running(self) -> bool:
        """Whether curl is still at it."""
        return self._process.poll() is None


@dataclass
class CounterResult:
    """What a counting connection saw."""
    requests: int = 0
    longest_wait: float = 0.0
    problem: str | None = None


class CountingConnection:
    """Sends small requests on *one* HTTPS connection, one after another; every answer must be the next number.

    The connection is up when this returns.
    """

    def __init__(self, certificate: Path, host: str, port: int):
        context = ssl.create_default_context(cafile=str(certificate))
        self._path = f"/count/{uuid.uuid4()}"
        self._connection = http.client.HTTPSConnection(host, port, timeout=30, context=context)
        self._connection.connect()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._result = CounterResult()
        self._thread.start()

    def finish(self) -> CounterResult:
        """Stops after the request under way and returns what was seen."""
        self._stop.set()
        self._thread.join(35)
        if self._thread.is_alive():
            self._result.problem = "a request is still without an answer"
        return self._result

    def _run(self):
        try:
            while not self._stop.is_set():
                self._request()
                self._stop.wait(0.005)
        except (OSError, http.client.HTTPException, ValueError) as problem:
            self._result.problem = f"after {self._result.requests} requests: {problem!r}"
        finally:
            self._connection.close()

    def _request(self):
        began = time.monotonic()
        # `connect` was called once, before: were the connection lost, http.client would open another by itself.
        if self._connection.sock is None:
            raise ValueError("the connection was closed")
        self._connection.request("POST", self._path, body=b"x")
        number = int(self._connection.getresponse().read())
        self._result.longest_wait = max(self._result.longest_wait, time.monotonic() - began)
        self._result.requests += 1
        if number != self._result.requests:
            raise ValueError(f"the answer is {number}, {self._result.requests} was due: lost or repeated")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
