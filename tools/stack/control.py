"""The socket by which another process drives a running stack. One line of JSON each way."""
import json
import os
import pathlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .stack import Stack, StackError

_LINE_BYTES_MAX = 1 << 20
VERBS = {"kill", "stop", "pause", "resume", "start", "restart"}


def socket_of(state_file: pathlib.Path) -> pathlib.Path:
    return state_file.with_name(state_file.name + ".sock")


@contextmanager
def _short(path: pathlib.Path) -> Iterator[str]:
    """A socket's address holds 107 bytes; through /proc the folder's length does not count."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _read_line(connection: socket.socket) -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):
        more = connection.recv(65_536)
        if not more or len(line) > _LINE_BYTES_MAX:
            raise StackError("the other side hung up")
        line += more
    return json.loads(line)


class ControlServer:
    """Serves until `close`. `ended` is set when a client asked for `down`."""

    def __init__(self, stack: Stack, path: pathlib.Path) -> None:
        self.ended = threading.Event()
        self._stack = stack
        self._path = path
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(path) as address:
            self._listener.bind(address)
        path.chmod(0o600)
        self._listener.listen(16)
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                answer = {"ok": self._do(_read_line(connection))}
            except (StackError, TypeError, KeyError, ValueError) as error:
                answer = {"error": str(error)}
            try:
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                pass  # the client did not wait for its answer

    def _do(self, request: dict[str, Any]) -> Any:
        verb, arguments = request["verb"], request.get("arguments", {})
        if verb == "down":
            self.ended.set()
            return None
        if verb == "status":
            return self._stack.state()
        if verb == "logs":
            return self._stack.logs(**arguments)
        if verb in VERBS:
            return getattr(self._stack, verb)(**arguments)
        raise StackError(f"no verb {verb}")


def ask(state_file: pathlib.Path, verb: str, **arguments: Any) -> Any:
    """Raises StackError when no stack answers, or when it refuses."""
    path = socket_of(state_file)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with _short(path) as address:
                connection.connect(address)
        except OSError:
            raise StackError(f"no stack runs (nobody listens on {path})") from None
        connection.sendall(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        answer = _read_line(connection)
    if "error" in answer:
        raise StackError(answer["error"])
    return answer["ok"]
