"""One connection, any bytes: HTTP as somebody speaks it who does not want to be understood."""

from __future__ import annotations

import dataclasses
import re
import selectors
import socket
import time
from collections.abc import Iterable, Iterator

ANSWER_SECONDS_MAX = 20.0  # longer is a hang: requests have deadlines of 10 s and less
PIECE_BYTES = 64 * 1024


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Reply:
    """All that came back. No answer and not `hung`: the connection was closed."""

    answers: tuple[Answer, ...]
    raw: bytes
    hung: bool
    seconds: float

    @property
    def status(self) -> int:
        return self.answers[0].status if self.answers else 0


def parse(raw: bytes) -> tuple[Answer, ...]:
    """Final answers, in their order; what follows the last complete one is left out."""
    found = []
    while b"\r\n\r\n" in raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not re.fullmatch(r"HTTP/1\.[01] \d{3} .*", lines[0]):
            break
        status = int(lines[0].split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if status < 200:
            raw = rest
            continue
        if "chunked" in headers.get("transfer-encoding", ""):
            body, rest = dechunked(rest)
        else:
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                break
            body, rest = rest[:length], rest[length:]
        found.append(Answer(status, headers, body))
        raw = rest
    return tuple(found)


def dechunked(raw: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        body, raw = body + raw[:length], raw[length + 2 :]
        if length == 0:
            return body, raw


def pieces_of(data: bytes | Iterable[bytes]) -> Iterator[memoryview]:
    for whole in [data] if isinstance(data, bytes) else data:
        yield from (memoryview(whole)[at : at + PIECE_BYTES] for at in range(0, len(whole), PIECE_BYTES))


def exchange(port: int, data: bytes | Iterable[bytes], seconds: float = ANSWER_SECONDS_MAX) -> Reply:
    """Sends all of `data` unless the other side has enough of it before; returns when it closes."""
    began = time.monotonic()
    pieces = pieces_of(data)
    piece = next(pieces, None)
    raw = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection, selectors.DefaultSelector() as ready:
        connection.setblocking(False)
        ready.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while (left := began + seconds - time.monotonic()) > 0:
            for _, events in ready.select(left):
                try:
                    if events & selectors.EVENT_WRITE:
                        sent = connection.send(piece) if piece else 0
                        piece = piece[sent:] if piece and sent < len(piece) else next(pieces, None)
                        if piece is None:
                            ready.modify(connection, selectors.EVENT_READ)
                    if events & selectors.EVENT_READ:
                        got = connection.recv(PIECE_BYTES)
                        raw += got
                        if not got:
                            return Reply(parse(bytes(raw)), bytes(raw), False, time.monotonic() - began)
                except BlockingIOError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    raw += rest_of(connection)
                    return Reply(parse(bytes(raw)), bytes(raw), False, time.monotonic() - began)
    return Reply(parse(bytes(raw)), bytes(raw), True, time.monotonic() - began)


def rest_of(connection: socket.socket) -> bytes:
    """What had arrived before the connection was reset."""
    raw = b""
    try:
        while got := connection.recv(PIECE_BYTES):
            raw += got
    except OSError:
        pass
    return raw


def request(method: str, target: str | bytes, headers: Iterable[tuple[str, str | bytes]] = (), body: bytes | None = None) -> bytes:
    """A request without a fault but those that the caller puts into its parts; the connection ends with it."""

    def raw(text: str | bytes) -> bytes:
        return text if isinstance(text, bytes) else text.encode()

    lines = [method.encode() + b" " + raw(target) + b" HTTP/1.1", b"host: shop.test", b"connection: close"]
    lines += [name.encode() + b": " + raw(value) for name, value in headers]
    if body is not None:
        lines.append(f"content-length: {len(body)}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")
