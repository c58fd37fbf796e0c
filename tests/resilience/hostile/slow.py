"""Clients that take their time: half a head, half a body. They cost their connection, and nobody else anything."""

from __future__ import annotations

import dataclasses
import select
import socket
import time

import httpx

SERVERS = ("api-gateway", "user-service", "product-service", "order-service", "payment-service")
CONNECTIONS = 40  # a server
HEAD_SECONDS, BODY_SECONDS = 10, 30  # servicekit/http: what a head and a body have
SLACK_SECONDS = 15  # on a machine that does much else
TRICKLE_SECONDS = 1.0
OTHERS_SECONDS_MAX = 5.0  # what somebody else may wait meanwhile


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
            open_now[connection] = name
    began, count, faults = time.monotonic(), len(open_now), []
    while open_now and time.monotonic() - began < limit:
        closed, _, _ = select.select(list(open_now), [], [], TRICKLE_SECONDS)
        for connection in closed:
            if not ended(connection):
                continue
            del open_now[connection]
            connection.close()
        for connection in list(open_now):
            try:
                connection.send(b"a")
            except OSError:
                del open_now[connection]
                connection.close()
        faults += others_wait(stack)
    what = "a body" if body else "a head"
    faults += [f"{name}: {what} that trickles is waited for longer than {limit} s" for name in sorted(set(open_now.values()))]
    for connection in open_now:
        connection.close()
    return Slow(count, time.monotonic() - began, sorted(set(faults)))


def ended(connection: socket.socket) -> bool:
    try:
        return not connection.recv(4_096)
    except OSError:
        return True


def others_wait(stack) -> list[str]:
    began = time.monotonic()
    status = httpx.get(f"{stack.url('api-gateway')}/api/v1/products?limit=1", timeout=30).status_code
    took = time.monotonic() - began
    return [f"somebody else was answered {status} after {took:.0f} s"] if status != 200 or took > OTHERS_SECONDS_MAX else []
