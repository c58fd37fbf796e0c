"""Orders at a fixed rate, and when each was seen paid: an open loop, so that a stall costs every order that is due
meanwhile, not the one alone that waits."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Sequence

import psycopg

from bench.figures import figure, quantile
from bench.market import Market
from bench.parts import Failed
from bench.rows import Plan, wait_until_settled
from tests.shop import ADDRESS
from tests.type_id import uuid_of

A_SECOND = 100
SENDERS = 32  # at least as many as are under way at once, or they would close the loop
LOOK_SECONDS = 0.0005
PAID_SECONDS = 30.0  # after its last order a round waits so long
WARM_UP_ORDERS = 200
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
THREADS_TAKE_TURNS_SECONDS = 0.0005


class Watcher:
    """Sees, by a connection of its own, when an order is paid: later than it was by at most one look."""

    def __init__(self, dsn: str) -> None:
        self.seen: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._ended = threading.Event()
        self._database = psycopg.connect(dsn, autocommit=True)
        self._database.prepare_threshold = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def expect(self, order: str) -> None:
        with self._lock:
            self._waiting.add(order)
        self._some.set()

    def end(self, within: float) -> set[str]:
        """What was still not paid after so many seconds."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and self._thread.is_alive():
            with self._lock:
                if not self._waiting:
                    break
            time.sleep(0.01)
        self._ended.set()
        self._some.set()
        self._thread.join()
        self._database.close()
        return self._waiting

    def _run(self) -> None:
        while not self._ended.is_set():
            self._some.wait()
            with self._lock:
                waiting = list(self._waiting)
                if not waiting:
                    self._some.clear()
                    continue
            rows = self._database.execute(
                "SELECT id FROM orders WHERE id = ANY (%s::uuid[]) AND status = 'paid'", [waiting]
            ).fetchall()
            now = time.monotonic()
            with self._lock:
                for (order,) in rows:
                    self.seen[str(order)] = now
                    self._waiting.discard(str(order))
            time.sleep(LOOK_SECONDS)


class Buyers:
    """Sends order n at its moment, whatever became of those before it."""

    def __init__(self, market: Market, count: int, watcher: Watcher) -> None:
        self.due: dict[str, float] = {}
        self.refusals: list[str] = []
        self.late: list[float] = []  # how much after its moment each was sent
        self._market, self._count, self._watcher = market, count, watcher
        self._next = 0
        self._lock = threading.Lock()
        self._begin = time.monotonic() + 0.2

    def run(self) -> None:
        threads = [threading.Thread(target=self._work) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        place = urllib.parse.urlsplit(self._market.url)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
        try:
            while True:
                with self._lock:
                    number, self._next = self._next, self._next + 1
                if number >= self._count:
                    return
                self._send(connection, number)
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                self.refusals.append(repr(error))
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, number: int) -> None:
        due = self._begin + number / A_SECOND
        if (early := due - time.monotonic()) > 0:
            time.sleep(early)
        sent = time.monotonic()
        variants = self._market.variants
        body = json.dumps({
            "lines": [{"variant_id": variants[number % len(variants)], "quantity": 1},
                      {"variant_id": variants[(number * 7 + 3) % len(variants)], "quantity": 2}],
            "currency": "EUR", "shipping_address": ADDRESS, "payment_method": {"token": "tok_ok"},
        })  # fmt: skip
        buyer = self._market.buyers[number % len(self._market.buyers)]
        connection.request("POST", "/api/v1/orders", body, {
            "authorization": f"Bearer {buyer.tokens['access_token']}", "content-type": "application/json",
            "idempotency-key": str(uuid.uuid4()),
        })  # fmt: skip
        answer = connection.getresponse()
        content = answer.read()
        with self._lock:
            self.late.append(sent - due)
            if answer.status != 201:
                self.refusals.append(f"{answer.status} {content[:200]!r}")
                return
            order = uuid_of(json.loads(content)["id"])
            self.due[order] = due
        self._watcher.expect(order)


def measured(market: Market, orders: int) -> list[float]:
    """Milliseconds from when each order was due to be sent until it was seen paid."""
    watcher = Watcher(market.stack.dsn("orders"))
    buyers = Buyers(market, orders, watcher)
    buyers.run()
    unpaid = watcher.end(PAID_SECONDS)
    if buyers.refusals or unpaid or len(buyers.due) != orders:
        raise Failed(f"open loop: of {orders} orders {len(unpaid)} were never paid, refused: {buyers.refusals[:3]}")
    return [(watcher.seen[order] - due) * 1000 for order, due in buyers.due.items()]


def summary(rounds: Sequence[Sequence[float]]) -> dict:
    """The row: each quantile of each round, and its median."""
    values = {f"{name}_ms": figure(quantile(one, share) for one in rounds) for name, share in QUANTILES.items()}
    return {"values": values, "orders": sum(map(len, rounds))}


def post_to_paid(market: Market, plan: Plan) -> dict:
    before = sys.getswitchinterval()
    sys.setswitchinterval(THREADS_TAKE_TURNS_SECONDS)
    try:
        measured(market, min(WARM_UP_ORDERS, plan.seconds * A_SECOND))
        rounds = [measured(market, plan.seconds * A_SECOND) for _ in range(plan.repeats)]
    finally:
        sys.setswitchinterval(before)
    wait_until_settled(market.stack)
    return summary(rounds)
