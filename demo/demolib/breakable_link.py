"""A TCP relay between client and server that breaks the connections through it, in the ways a network does.

It stands where the Internet would. Cuts happen when a given number of bytes has passed, under full load, wherever in a
frame or a TLS record that falls.
"""

import asyncio
import enum
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Callable

BLOCK = 64 * 1024
MIB = 1024 * 1024


class Cut(enum.Enum):
    """How a connection breaks."""
    RESET = "reset"
    END = "end of stream"
    SILENCE = "silence"


@dataclass(frozen=True)
class PlannedCut:
    """A cut when `after_bytes` more have passed than at the start of the plan. `seconds`: how long a silence lasts."""
    after_bytes: int
    kind: Cut
    seconds: float = 0.0


class BreakableLink:
    """The relay, on a thread of its own. `on_event` is called there with a line for people about each cut."""

    def __init__(self, listen_port: int, target_port: int, on_event: Callable[[str], None]):
        self._listen_port = listen_port
        self._target_port = target_port
        self._on_event = on_event
        self._loop = asyncio.new_event_loop()
        # Both ends of every connection that has not been cut.
        self._connections: set[asyncio.StreamWriter] = set()
        self._gate: asyncio.Event | None = None
        self._plan: list[PlannedCut] = []
        self._bytes_at_start = 0
        self.bytes_passed = 0
        self.connections_accepted = 0
        self.cuts_done: list[Cut] = []

    def start(self):
        """Listens; returns when connections are accepted."""
        listening = threading.Event()
        threading.Thread(target=self._run, args=(listening,), daemon=True).start()
        if not listening.wait(5):
            raise RuntimeError(f"the relay cannot listen on port {self._listen_port}")

    def follow(self, plan: list[PlannedCut]):
        """From now on, cuts as planned."""
        self._bytes_at_start = self.bytes_passed
        self._plan = list(plan)

    @property
    def cuts_left(self) -> int:
        """How many planned cuts have not happened yet."""
        return len(self._plan)

    def _run(self, listening: threading.Event):
        asyncio.set_event_loop(self._loop)
        self._gate = asyncio.Event()
        self._gate.set()
        self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", self._listen_port, limit=BLOCK))
        listening.set()
        self._loop.run_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.connections_accepted += 1
        self._connections.add(writer)
        onward = None
        try:
            # A new connection gets nowhere in a silence, either.
            await self._gate.wait()
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target_port, limit=BLOCK)
            self._connections.add(onward)
            await asyncio.gather(self._pass_on(reader, onward), self._pass_on(onward_reader, writer))
        except OSError:
            pass
        finally:
            for end in (writer, onward):
                if end is not None:
                    self._connections.discard(end)
                    end.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        """One direction, until its end."""
        while block := await reader.read(BLOCK):
            await self._gate.wait()
            # After a cut, what still arrives is dropped.
            if writer in self._connections:
                self.bytes_passed += len(block)
                writer.write(block)
                self._cut_if_due()
                await writer.drain()
        if writer in self._connections:
            writer.write_eof()

    def _cut_if_due(self):
        passed = self.bytes_passed - self._bytes_at_start
        if not self._plan or passed < self._plan[0].after_bytes or not self._gate.is_set():
            return
        cut = self._plan.pop(0)
        self.cuts_done.append(cut.kind)
        lasting = f" of {cut.seconds:g} s" if cut.kind is Cut.SILENCE else ""
        self._on_event(f"cut {len(self.cuts_done)}: {cut.kind.value}{lasting} after {passed / MIB:.1f} MiB")
        if cut.kind is Cut.SILENCE:
            self._gate.clear()
            self._loop.call_later(cut.seconds, self._gate.set)
        else:
            self._break_all(reset=cut.kind is Cut.RESET)

    def _break_all(self, reset: bool):
        for writer in list(self._connections):
            self._connections.discard(writer)
            if reset:
                # Closing with a linger time of zero sends RST, and drops what the kernel still holds.
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                # Only our half is closed, to send FIN: closing a socket with unread bytes would send RST.
                writer.write_eof()
