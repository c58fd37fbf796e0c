"""Clients that take their time: half a head, half a body. They cost their connection, and nobody else anything."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import select
import socket
import threading
import time
from collections.abc import Iterator

import httpx

SERVERS = ("api-gateway", "user-service", "product-service", "order-service", "payment-service")
CONNECTIONS = 40  # a server
HEAD_SECONDS, BODY_SECONDS = 10, 30  # servicekit/http: what a head and a body have
SLACK_SECONDS = 15  # on a machine that does much else
TRICKLE_SECONDS = 1.0
OTHERS_SECONDS_MAX = float(HEAD_SECONDS)  # who is served behind a slow client waits for all of its time


@dataclasses.dataclass
class Slow:
    connections: int
    seconds: float
    faults: list[str]


def beginnings(body: bool) -> bytes:
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\n"
    return head + b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{" if body else head + b"x-"


def trickle(stack, body: bool) -> Slow:
    """Each of the connections sends a byte a second until it is closed; somebody else is served meanwhile."""
    servers = SERVERS if not body else ("api-gateway", "user-service")
    limit = (BODY_SECONDS if body else HEAD_SECONDS) + SLACK_SECONDS
    open_now: dict[socket.socket, str] = {}
    for name in servers:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", stack.part(name).port), timeout=10)
            connection.sendall(beginnings(body))
            connection.setblocking(False)
            open_now[connection] = name
    began, count = time.monotonic(), len(open_now)
    with somebody_else(stack) as faults:
        while open_now and time.monotonic() - began < limit:
            forget_closed(open_now, TRICKLE_SECONDS)
            for connection in list(open_now):
                try:
                    connection.send(b"a")
                except OSError:
                    del open_now[connection]
                    connection.close()
    forget_closed(open_now, 0)
    what = "a body" if body else "a head"
    faults += [f"{name}: {what} that trickles is waited for longer than {limit} s" for name in sorted(set(open_now.values()))]
    for connection in open_now:
        connection.close()
    return Slow(count, time.monotonic() - began, sorted(set(faults)))


def forget_closed(open_now: dict[socket.socket, str], seconds: float) -> None:
    """Waits so long for the first that has something to say; an answer is read before its end."""
    readable, _, _ = select.select(list(open_now), [], [], seconds)
    for connection in readable:
        if ended(connection):
            del open_now[connection]
            connection.close()


def ended(connection: socket.socket) -> bool:
    try:
        while connection.recv(4_096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@contextlib.contextmanager
def somebody_else(stack) -> Iterator[list[str]]:
    """Asks every second for as long as the block lasts, on a thread of its own; the list says what was wrong."""
    faults: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(TRICKLE_SECONDS):
            began = time.monotonic()
            try:
                said = str(httpx.get(f"{stack.url('api-gateway')}/api/v1/products?limit=1", timeout=30).status_code)
            except httpx.HTTPError as error:
                said = repr(error)
            took = time.monotonic() - began
            if said != "200" or took > OTHERS_SECONDS_MAX:
                faults.append(f"somebody else was answered {said} after {took:.0f} s")

    asking = concurrent.futures.ThreadPoolExecutor(1)
    asked = asking.submit(ask)
    try:
        yield faults
    finally:
        over.set()
        asked.result()
        asking.shutdown()
