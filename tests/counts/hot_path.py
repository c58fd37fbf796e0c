"""One client that reads one product again and again, and knows when a read is over in every process."""

from __future__ import annotations

import pathlib
import socket
import time

import httpx

SETTLE_SECONDS = 60.0  # where others compile
ANSWER_SECONDS = 60.0
_PIECE = 65_536

# The ratio judges by the last seven bytes of the trace's id: this one it leaves out, as 19 of 20, and this one it takes.
TRACES = {
    "untraced": "00-11111111111111110000000000000001-00f067aa0ba902b7-01",
    "traced": "00-1111111111111111ffffffffffffffff-00f067aa0ba902b7-01",
}


class Wire:
    """One kept connection. What is sent is what is given, so that every request is the same bytes."""

    def __init__(self, url: str) -> None:
        self._host = httpx.URL(url).netloc.decode()
        host, port = self._host.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> tuple[bytes, bytes]:
        """The head of the answer, its empty line included, and its body."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"content-length: {len(body)}")
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, rest = received.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        while len(rest) < length:
            rest += self._more()
        assert len(rest) == length, "an answer ends where it says"
        return head + b"\r\n\r\n", rest

    def _more(self) -> bytes:
        piece = self._socket.recv(_PIECE)
        assert piece, "the gateway closed the connection"
        return piece


def wait_until_asleep(*pids: int) -> None:
    """Until the loop of each process waits: what it does after its answer is over too."""
    end = time.monotonic() + SETTLE_SECONDS
    while not all(_sleeps(pid) for pid in pids):
        assert time.monotonic() < end, f"process {pids} did not come to rest within {SETTLE_SECONDS} s"


def _sleeps(pid: int) -> bool:
    """A process has one loop (STOA_LOOPS), which is its first thread."""
    stat = pathlib.Path(f"/proc/{pid}/task/{pid}/stat").read_text()
    return stat[stat.rindex(")") + 2] == "S"
