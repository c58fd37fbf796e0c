"""What the services say to PostgreSQL, counted on the wire.

`Tap` stands between them and the server and reads the protocol (version 3, chapter 53 of PostgreSQL's
manual) as it passes. It tells what a server's own statistics do not: which connection spoke, what was
bound, how many rows came, and how often somebody waited for an answer.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import re
import struct
import threading
from collections.abc import Callable, Iterator

_ENCRYPTION_REQUESTS = {80877103, 80877104}  # TLS, GSSAPI
_CANCEL_REQUEST = 80877102
_PIECE = 65_536


@dataclasses.dataclass(eq=False)
class Executed:
    """One statement. `waits`: nothing else was on its way on this connection, so it costs a round trip of its own;
    what follows in one pipeline does not."""

    service: str  # the database role
    connection: str  # application_name
    text: str
    values: tuple[bytes | None, ...]
    waits: bool
    is_simple: bool = False
    rows: int = 0
    failed: bool = False

    @property
    def key(self) -> tuple:
        """Who, what, and the lists that were bound: a list is of what there is to do, as the rows that a relay forgets."""
        return self.service, self.text, tuple(value for value in self.values if value and value.startswith(b"{"))


class _Sync:
    """The end of a pipeline, which the server answers with ReadyForQuery."""


class Messages:
    """Cuts a stream into messages: a type, a length that counts itself, a body."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> Iterator[tuple[str, bytes]]:
        self._held += piece
        while len(self._held) >= 5:
            length = struct.unpack_from("!I", self._held, 1)[0]
            if len(self._held) < 1 + length:
                return
            yield chr(self._held[0]), self._held[5 : 1 + length]
            self._held = self._held[1 + length :]


class Conversation:
    """One connection, as both sides speak."""

    def __init__(self, started_with: dict[str, str], done: Callable[[Executed], None]) -> None:
        self.service = started_with.get("user", "?")
        self.name = started_with.get("application_name", "")
        self._done = done
        self._texts: dict[bytes, str] = {}
        self._bound: tuple[str, tuple[bytes | None, ...]] = ("", ())
        self.pending: collections.deque[Executed | _Sync] = collections.deque()

    def client_says(self, kind: str, body: bytes) -> None:
        if kind == "P":
            name, text = body.split(b"\0", 2)[:2]
            self._texts[name] = " ".join(text.decode().split())
        elif kind == "B":
            _, name, rest = body.split(b"\0", 2)
            self._bound = (self._texts.get(name, "?"), _values(rest))
        elif kind == "E":
            self._sent(*self._bound)
        elif kind == "Q":
            self._sent(" ".join(body.rstrip(b"\0").decode().split()), (), is_simple=True)
        elif kind == "S":
            self.pending.append(_Sync())

    def server_says(self, kind: str, body: bytes) -> None:
        first = self.pending[0] if self.pending else None
        if kind in "CIs" and isinstance(first, Executed):
            number = re.search(rb" (\d+)\0$", body)
            first.rows += int(number[1]) if number else 0
            if not first.is_simple:
                self._done(self.pending.popleft())
        elif kind == "E" and isinstance(first, Executed):
            first.failed = True
        elif kind == "Z":
            self._end()

    def _sent(self, text: str, values: tuple[bytes | None, ...], is_simple: bool = False) -> None:
        waits = not any(isinstance(item, Executed) for item in self.pending)
        self.pending.append(Executed(self.service, self.name, text, values, waits, is_simple))

    def _end(self) -> None:
        """Up to this Sync all is over: what stood behind a failed statement was passed over."""
        while self.pending:
            item = self.pending.popleft()
            if isinstance(item, _Sync):
                return
            self._done(item)
            if item.is_simple:
                return


def _values(rest: bytes) -> tuple[bytes | None, ...]:
    """Of Bind, behind the two names: formats, then each value with its length (-1: NULL)."""
    at = 2 + 2 * struct.unpack_from("!H", rest)[0]
    count = struct.unpack_from("!H", rest, at)[0]
    at += 2
    values: list[bytes | None] = []
    for _ in range(count):
        length = struct.unpack_from("!i", rest, at)[0]
        at += 4
        values.append(None if length < 0 else rest[at : at + length])
        at += max(length, 0)
    return tuple(values)


class Tap:
    """Listens on `port` from `with` on; asks `server_port`, which is set before a service starts, where it leads."""

    def __init__(self) -> None:
        self.server_port: Callable[[], int] = lambda: 0
        self._conversations: set[Conversation] = set()
        self._executed: list[Executed] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="statement tap", daemon=True)
        self.port = 0

    def __enter__(self) -> Tap:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def take(self) -> list[Executed]:
        """What was executed since the last call."""
        async def swap() -> list[Executed]:
            taken, self._executed = self._executed, []
            return taken

        return asyncio.run_coroutine_threadsafe(swap(), self._loop).result(10)

    def is_quiet(self) -> bool:
        """Nobody waits for an answer."""
        return not any(conversation.pending for conversation in list(self._conversations))

    def connections(self) -> collections.Counter[str]:
        """How many each role has open."""
        return collections.Counter(conversation.service for conversation in list(self._conversations))

    # ---- how ------------------------------------------------------------------------------------------

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            first = await self._first_message(client, to_client)
            server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port())
            to_server.write(first)
            if struct.unpack_from("!I", first, 4)[0] == _CANCEL_REQUEST:
                to_server.close()
            else:
                words = first[8:].split(b"\0")
                names, values = words[::2], words[1::2]
                settings = {name.decode(): value.decode() for name, value in zip(names, values, strict=False)}
                await self._converse(settings, (client, to_client), (server, to_server))
        to_client.close()

    @staticmethod
    async def _first_message(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> bytes:
        """Over a loopback without TLS: who asks for it is answered as a server without it answers."""
        while True:
            head = await client.readexactly(8)
            length, code = struct.unpack("!II", head)
            if code not in _ENCRYPTION_REQUESTS:
                return head + await client.readexactly(length - 8)
            to_client.write(b"N")

    async def _converse(self, settings: dict[str, str], client: tuple, server: tuple) -> None:
        conversation = Conversation(settings, self._executed_one)
        self._conversations.add(conversation)
        tasks = [
            asyncio.create_task(_pass(client[0], server[1], conversation.client_says)),
            asyncio.create_task(_pass(server[0], client[1], conversation.server_says)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._conversations.discard(conversation)
            for task in tasks:
                task.cancel()
            server[1].close()

    def _executed_one(self, executed: Executed) -> None:
        self._executed.append(executed)


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter, hear: Callable[[str, bytes], None]) -> None:
    messages = Messages()
    while piece := await source.read(_PIECE):
        for kind, body in messages.feed(piece):
            hear(kind, body)
        sink.write(piece)
        await sink.drain()
