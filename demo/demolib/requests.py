"""Requests on new connections, one after another from several threads, each with when it began and how it ended."""

import http.client
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PAUSE_SECONDS = 0.02
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Request:
    """One request. Times are monotonic; `problem` is None when the right answer came."""
    began: float
    ended: float
    problem: str | None


@dataclass(frozen=True)
class Around:
    """What became of requests around a moment, the kill. `under_way` had begun before it and ended after it."""
    before: int
    failed_before: int
    under_way: int
    lost: int
    new: int
    failed: int
    longest: float
    """Of the new ones, in seconds."""
    problem: str | None
    """Of the first one that should not have failed."""


class Requests:
    """`threads` programs that each make a new connection, send one request, read the answer, and begin again."""

    def __init__(self, certificate: Path, host: str, port: int, expected: str, threads: int):
        self._context = ssl.create_default_context(cafile=str(certificate))
        self._host, self._port = host, port
        self._expected = expected.encode()
        self._stop = threading.Event()
        # Appending to a list is atomic in CPython; nobody reads before the threads have ended.
        self._done: list[Request] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def finish(self, moment: float) -> Around:
        """Stops after the requests under way, and counts what there was around `moment`."""
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS + 5)
        before = [request for request in self._done if request.ended < moment]
        under_way = [request for request in self._done if request.began < moment <= request.ended]
        new = [request for request in self._done if request.began >= moment]
        wrong = [request.problem for request in before + new if request.problem]
        if any(thread.is_alive() for thread in self._threads):
            wrong.append("a request is still without an answer")
        return Around(
            before=len(before), failed_before=_failures(before), under_way=len(under_way), lost=_failures(under_way),
            new=len(new), failed=_failures(new), longest=max((request.ended - request.began for request in new), default=0.0),
            problem=wrong[0] if wrong else None)

    def _run(self):
        while not self._stop.is_set():
            began = time.monotonic()
            problem = self._request()
            self._done.append(Request(began, time.monotonic(), problem))
            self._stop.wait(PAUSE_SECONDS)

    def _request(self) -> str | None:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._context)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse().read()
            return None if answer == self._expected else f"wrong answer {answer[:40]!r}"
        except (OSError, http.client.HTTPException) as problem:
            return f"{type(problem).__name__}: {problem}"
        finally:
            connection.close()


def _failures(requests: list[Request]) -> int:
    return sum(1 for request in requests if request.problem)
