"""Impatient buyers for the failure tests: they retry with the same key and remember what they were told.

What a buyer was answered is the witness: every order answered 201 must exist at the end and be
settled, one key must have had one body, and a client may only ever see answers that it caused,
429 or 503.
"""

from __future__ import annotations

import collections
import dataclasses
import random
import threading
import time
import uuid

import httpx

from tests.shop import SETTLED, Person, Shop

# Answers that a client may see while parts fail (invariant 9): its own mistakes aside, only these.
EXPECTED = {201, 409, 429, 502, 503, 504}


@dataclasses.dataclass
class Told:
    """What one buyer heard about one key."""

    key: str
    token: str
    buyer: Person
    bodies: set[bytes] = dataclasses.field(default_factory=set)
    order_id: str | None = None
    statuses: collections.Counter = dataclasses.field(default_factory=collections.Counter)


class Load:
    """`count` orders by parallel buyers; `halfway` is set when a third of them has been answered."""

    def __init__(self, shop: Shop, buyers: list[Person], variants: list[str], seed: int) -> None:
        self.shop, self.buyers, self.variants = shop, buyers, variants
        self.random = random.Random(seed)
        self.told: list[Told] = []
        self.lock = threading.Lock()
        self.under_way = threading.Event()
        self.unexpected: list[str] = []

    def run(self, count: int, threads: int = 8, patience_seconds: float = 60.0) -> None:
        jobs = [
            (
                Told(key=str(uuid.uuid4()), token=self._token(), buyer=self.buyers[i % len(self.buyers)]),
                [(v, self.random.randint(1, 2)) for v in self.random.sample(self.variants, self.random.randint(1, 3))],
            )
            for i in range(count)
        ]
        self.told = [told for told, _ in jobs]
        queue = collections.deque(jobs)
        workers = [threading.Thread(target=self._work, args=(queue, count, patience_seconds)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _token(self) -> str:
        return self.random.choices(
            ["tok_ok", "tok_declined", "tok_timeout_after_capture", "tok_error_then_ok"], [85, 8, 4, 3]
        )[0]

    def _work(self, queue: collections.deque, count: int, patience: float) -> None:
        while True:
            with self.lock:
                if not queue:
                    return
                told, lines = queue.popleft()
                if len(queue) <= count * 2 // 3:
                    self.under_way.set()
            self._insist(told, lines, patience)

    def _insist(self, told: Told, lines: list[tuple[str, int]], patience: float) -> None:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                answer = told.buyer.order(lines, token=told.token, key=told.key)
            except httpx.TransportError:
                # The part that answers was killed: the same key again is the client's whole duty.
                told.statuses["connection"] += 1
                time.sleep(0.1)
                continue
            told.statuses[answer.status_code] += 1
            if answer.status_code == 201:
                told.bodies.add(answer.content)
                told.order_id = answer.json()["id"]
                # Half of the buyers ask once more, to see whether they hear the same.
                if len(told.bodies) == 1 and told.statuses[201] == 1 and hash(told.key) % 2:
                    continue
                return
            if answer.status_code not in EXPECTED:
                with self.lock:
                    self.unexpected.append(f"{answer.status_code} {answer.text[:300]}")
                return
            if answer.status_code == 409 and answer.json().get("code") == "out_of_stock":
                return
            time.sleep(0.1)

    def accepted(self) -> list[Told]:
        return [told for told in self.told if told.order_id]

    def unsettled(self) -> list[str]:
        """Orders that were answered 201 and are gone or not at their end."""
        left = []
        for told in self.accepted():
            try:
                answer = told.buyer.http.get(f"/api/v1/orders/{told.order_id}")
            except httpx.TransportError as error:
                left.append(f"{told.order_id}: {error}")
                continue
            if answer.status_code != 200 or answer.json()["status"] not in SETTLED:
                left.append(f"{told.order_id}: {answer.status_code} {answer.json().get('status')}")
        return left

    def summary(self) -> dict[str, object]:
        statuses: collections.Counter = collections.Counter()
        for told in self.told:
            statuses.update(told.statuses)
        return {"orders": len(self.told), "accepted": len(self.accepted()), "answers": dict(statuses)}
