"""What the clients were told, and whether they may be told that (invariants 6 and 9)."""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Iterable
from typing import Any

import httpx

from tests.resilience.chaos.faults import Away

# A route has 5 s, an upload 60; the gateway tries an idempotent request once more. Whoever waits longer hangs.
PATIENCE_SECONDS = 15.0
# For each thing that is asked: refusals that the client brought about itself, by code.
OWN_FAULTS = {
    "order": {"out_of_stock", "too_many_open_orders"},
    "order, key reused": {"idempotency_key_reused"},
    "cancel": {"invalid_state"},
    "refund": {"payment_not_captured", "refund_exceeds_captured"},
    "foreign order": {"order_not_found"},
}
GOOD = {"order": {201}, "cancel": {202}, "refund": {202}, "foreign order": set(), "order, key reused": set()}
SHOWN_MAX = 40


@dataclasses.dataclass(frozen=True)
class Lost:
    """A request that got no answer."""

    asked: str
    gateway: int
    begin: float
    end: float
    error: str
    patient: bool


@dataclasses.dataclass
class Promise:
    """An order that was answered 201."""

    order_id: str
    customer: str
    total_minor: int


class Witness:
    """One for all clients; every method may be called from any thread."""

    def __init__(self) -> None:
        self.answers: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.promised: dict[str, Promise] = {}
        self.cancels: set[str] = set()  # orders whose cancellation was answered 202
        self.refunds: set[str] = set()  # refunds answered 202
        self.restocked: dict[str, int] = {}  # reason of an adjustment answered 200 -> delta
        self.lost: list[Lost] = []
        self._bodies: dict[str, bytes] = {}
        self._wrong: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    def wrong(self, what: str) -> None:
        with self._lock:
            if what in self._wrong or len(self._wrong) < SHOWN_MAX:
                self._wrong[what] += 1
            else:
                self._wrong["and others"] += 1

    def no_answer(self, lost: Lost) -> None:
        with self._lock:
            self.answers[lost.asked][lost.error] += 1
            self.lost.append(lost)

    def answer(self, asked: str, answer: httpx.Response) -> bool:
        """Notes and judges; whether it is a good one (what it holds is the asker's to judge)."""
        status = answer.status_code
        code = problem_code(answer) if status >= 400 else ""
        with self._lock:
            self.answers[asked][f"{status} {code}".strip()] += 1
        if status in GOOD.get(asked, {200}):
            return True
        if status in (429, 503):
            if not answer.headers.get("retry-after", "").isdigit():
                self.wrong(f"{asked}: {status} {code} without Retry-After")
        elif not (400 <= status < 500 and code in OWN_FAULTS.get(asked, set())):
            self.wrong(f"{asked}: {status} {code or answer.text[:200]!r}")
        return False

    def one_body(self, key: str, body: bytes) -> None:
        """The same key has the same answer for ever."""
        with self._lock:
            first = self._bodies.setdefault(key, body)
        if first != body:
            self.wrong(f"two bodies for one key: {first[:300]!r} and {body[:300]!r}")

    def promise(self, order: dict[str, Any]) -> None:
        with self._lock:
            self.promised[order["id"]] = Promise(order["id"], order["customer_id"], order["total"]["amount"])

    def violations(self, away: Iterable[Away]) -> list[str]:
        """Refusals, wrong bodies, and requests without an answer that no gateway's absence explains."""
        windows = list(away)
        found = [f"honesty: {what} ({count} times)" for what, count in self._wrong.items()]
        unexplained = collections.Counter()
        for lost in self.lost:
            if not explained(lost, windows):
                unexplained[f"{lost.asked}: {lost.error}{' after the whole deadline' if lost.patient else ''}"] += 1
        return found + [f"honesty: no answer, and the gateway was there: {what} ({n} times)" for what, n in unexplained.items()]


def explained(lost: Lost, windows: list[Away]) -> bool:
    """An impatient client's own time-out, or a gateway that was away while it was asked."""
    if lost.error.endswith("Timeout") and not lost.patient:
        return True
    return any(
        window.replica == lost.gateway and window.begin <= lost.end and (window.end is None or lost.begin <= window.end)
        for window in windows
    )


def problem_code(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return ""
