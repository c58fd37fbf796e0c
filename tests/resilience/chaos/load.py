"""The load: buyers on errands at a steady pace, counted, so that faults can come at a number of orders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tests.resilience.chaos.buyers import Buyer, Shopper
from tests.resilience.chaos.errands import errand

# About half of what the errands ask of the scarce variants.
RESTOCK_UNITS, RESTOCK_EVERY_ORDERS = 3, 12
RESTOCK_LOOK_SECONDS = 0.1


class Gate:
    """Lets orders begin, at most `per_second`. Of `count` orders, those up to `limit` count; while the limit is
    reached the load goes on with orders beyond the count, so that no fault ever meets a silent shop."""

    def __init__(self, count: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.count, self.limit, self.begun, self.extra = count, 0, 0, 0
        self._pause = 1.0 / per_second
        self._clock = clock
        self._free_at = clock()
        self._closed = False
        self._changed = threading.Condition()

    def next(self) -> int | None:
        """The number of the next order, when it is its turn; None when there is none any more."""
        with self._changed:
            while not self._closed and (wait := self._free_at - self._clock()) > 0:
                self._changed.wait(wait)
            if self._closed:
                return None
            self._free_at = max(self._free_at, self._clock() - self._pause) + self._pause
            if self.begun < self.limit:
                self.begun += 1
                self._changed.notify_all()
                return self.begun - 1
            self.extra += 1
            return self.count + self.extra - 1

    def advance(self, limit: int) -> None:
        """Lets `limit` orders begin and returns when they have."""
        with self._changed:
            self.limit = limit
            self._changed.wait_for(lambda: self.begun >= limit or self._closed)

    def open_to(self, limit: int) -> None:
        with self._changed:
            self.limit = limit

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Load:
    """`threads` shoppers until the gate closes, and one member of staff who restocks what is scarce."""

    def __init__(self, seed: int, gate: Gate, shoppers: list[Shopper], scarce: int, repeats: Callable[[], bool]) -> None:
        self.gate = gate
        self.failures: list[str] = []  # of the clients themselves: a bug of this program, never hidden
        self._seed, self._scarce, self._repeats = seed, scarce, repeats
        self._market = shoppers[0].market
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._guarded, args=(self._shop, one)) for one in shoppers]
        self._threads.append(threading.Thread(target=self._guarded, args=(self._restock, self._market.staff)))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """No order more; returns when the buyers have ended what they were at."""
        self.gate.close()
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except Exception as error:
            self.failures.append(f"a client broke: {error!r}")
            self.gate.close()

    def _shop(self, shopper: Shopper) -> None:
        plenty = len(self._market.variants) - self._scarce
        while (number := self.gate.next()) is not None:
            wanted = errand(self._seed, number, len(self._market.buyers), self._scarce, plenty)
            shopper.run(wanted, self._repeats())

    def _restock(self, staff: Buyer) -> None:
        turn = 0
        while not self._over.wait(RESTOCK_LOOK_SECONDS):
            if turn * RESTOCK_EVERY_ORDERS > self.gate.begun + self.gate.extra:
                continue
            variant, reason = self._market.variants[turn % self._scarce], f"restock {self._seed} {turn}"
            path = f"/api/v1/variants/{variant}/stock-adjustments"
            answer = staff.insist("restock", "POST", path, {"delta": RESTOCK_UNITS, "reason": reason}, reason.replace(" ", "-"))
            if answer is not None and answer.status_code == 200:
                self._market.witness.restocked[reason] = RESTOCK_UNITS
            turn += 1
