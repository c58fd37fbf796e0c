"""A constant load whose every answer is written down: for what must disturb nobody.

Requests are due at a fixed rate, whether or not those before were answered, so a stall costs each request that falls
into it. Who asks stands where a balancer stands in front of the gateway's replicas: one that refuses the connection
is passed (not one byte was sent), one that starts is asked when it is ready (`doors` says so), and whatever else is
not the wanted answer is a failed request. What was bought is then insisted on with the same key, as a client would, and each repetition is a request of its own.
"""

from __future__ import annotations

import collections
import dataclasses
import http.client
import json
import random
import select
import threading
import time
import urllib.parse
import uuid

from tests.shop import ADDRESS, Person

PATIENCE_SECONDS = 60.0
AGAIN_SECONDS = 0.5
ANSWER_SECONDS = 20.0
TOKENS = {"tok_ok": 92, "tok_declined": 5, "tok_error_then_ok": 3}
KINDS = {"buy": 40, "product": 30, "order": 20, "orders": 10}


@dataclasses.dataclass
class Asked:
    """One request: what it wanted, when it was due and answered (monotonic), what came."""

    kind: str
    due: float
    answered: float
    status: int | None  # None: no answer
    detail: str = ""
    retry_after: bool = False  # whether the answer said when to come again

    @property
    def failed(self) -> bool:
        return self.status not in (200, 201)

    @property
    def seconds(self) -> float:
        return self.answered - self.due


@dataclasses.dataclass
class Bought:
    """An order as its buyer knows it."""

    key: str
    token: str
    lines: list[tuple[str, int]]
    buyer: int
    order_id: str | None = None
    answered_at: float = 0.0
    bodies: set[bytes] = dataclasses.field(default_factory=set)


class NoAnswer(Exception):
    """Nobody took the connection, or it ended without the answer."""


class Client:
    """One connection at a time to one of the gateway's replicas. `doors` may change meanwhile."""

    def __init__(self, doors: list[str], first: int) -> None:
        self._doors = doors
        self._at = first
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, bytes, bool]:
        """Raises NoAnswer."""
        self._leave_if_ended()
        if self._connection is None:
            self._connect()
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.leave()
            raise NoAnswer(repr(error)) from error
        if answer.will_close:
            self.leave()
        return answer.status, content, answer.headers["Retry-After"] is not None

    def leave(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _leave_if_ended(self) -> None:
        """A pooled connection that has anything to read is not used: the other side said goodbye."""
        if self._connection and self._connection.sock and select.select([self._connection.sock], [], [], 0)[0]:
            self.leave()

    def _connect(self) -> None:
        refused = ""
        doors = list(self._doors)
        for _ in doors:
            door = urllib.parse.urlsplit(doors[self._at % len(doors)])
            connection = http.client.HTTPConnection(door.hostname, door.port, timeout=ANSWER_SECONDS)
            try:
                connection.connect()
            except OSError as error:
                refused = repr(error)
                self._at += 1
                continue
            self._connection = connection
            return
        raise NoAnswer(f"no replica takes connections: {refused}")


def schedule(seed: int, number: int, variants: list[str], buyers: int) -> tuple[str, Bought]:
    """What request `number` is; the same for the same seed."""
    chance = random.Random(f"{seed}-{number}")
    kind = chance.choices(list(KINDS), KINDS.values())[0]
    lines = [(variant, chance.randint(1, 2)) for variant in chance.sample(variants, chance.randint(1, 2))]
    token = chance.choices(list(TOKENS), TOKENS.values())[0]
    key = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return kind, Bought(key, token, lines, number % buyers)  # in turn: nobody has more under way than the others


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def outage(asked: list[Asked]) -> float:
    """Seconds from when the first failed request was due to when the last one was answered; 0 when none failed."""
    failed = [one for one in asked if one.failed]
    return max(one.answered for one in failed) - min(one.due for one in failed) if failed else 0.0


class Steady:
    """Runs from `with` on until its end. `asked` and `bought` grow meanwhile."""

    def __init__(self, doors: list[str], buyers: list[Person], variants: list[str], seed: int, rate: float,
                 threads: int = 32) -> None:
        self.doors, self.buyers, self.variants = doors, buyers, variants
        self.seed, self.rate = seed, rate
        self.asked: list[Asked] = []
        self.bought: list[Bought] = []
        self.given_up: list[Bought] = []
        self.began = 0.0
        self._tokens = [buyer.tokens["access_token"] for buyer in buyers]
        self._threads = threads
        self._lock = threading.Lock()
        self._number = 0
        self._again: collections.deque[tuple[float, float, Bought]] = collections.deque()  # not before, not after
        self._ending = threading.Event()
        self._workers: list[threading.Thread] = []

    def __enter__(self) -> Steady:
        self.began = time.monotonic()
        self._workers = [threading.Thread(target=self._work, args=(Client(self.doors, i),), daemon=True)
                         for i in range(self._threads)]
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No new orders; returns when each buyer has an answer or no patience left."""
        self._ending.set()
        for worker in self._workers:
            worker.join()
        self._workers = []

    def token(self, buyer: int) -> str:
        return self._tokens[buyer]

    def sign_in_again(self, buyer: int, access_token: str) -> None:
        self._tokens[buyer] = access_token

    def since(self, begin: float, end: float | None = None) -> list[Asked]:
        """The requests that were due in this time, answered ones only."""
        with self._lock:
            return [one for one in self.asked if one.due >= begin and (end is None or one.due < end)]

    def accepted(self) -> list[Bought]:
        with self._lock:
            return [one for one in self.bought if one.order_id]

    def wait_for_requests(self, count: int, since: float, within: float = 60.0) -> None:
        """Until so many were answered that were due since then: a condition, where a pause would be a guess."""
        end = time.monotonic() + within
        while len(self.since(since)) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{count} requests were not answered within {within:g} s")
            time.sleep(0.02)

    # ---- how ------------------------------------------------------------------------------------------

    def _next(self) -> tuple[str, float, Bought, float] | None:
        """What is due now or next: kind, when, for what, and until when its buyer is patient."""
        with self._lock:
            now = time.monotonic()
            if self._again and self._again[0][0] <= now:
                not_before, patient_until, bought = self._again.popleft()
                return "buy", not_before, bought, patient_until
            if self._ending.is_set():
                if not self._again:
                    return None
                not_before, patient_until, bought = self._again.popleft()
                return "buy", not_before, bought, patient_until
            number, self._number = self._number, self._number + 1
        kind, bought = schedule(self.seed, number, self.variants, len(self.buyers))
        due = self.began + number / self.rate
        if kind == "buy":
            with self._lock:
                self.bought.append(bought)
        return kind, due, bought, due + PATIENCE_SECONDS

    def _work(self, client: Client) -> None:
        while (job := self._next()) is not None:
            kind, due, bought, patient_until = job
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
            status, content, retry_after, detail = None, b"", False, ""
            try:
                status, content, retry_after = client.ask(*self._request(kind, bought))
                detail = content[:200].decode(errors="replace") if status not in (200, 201) else ""
            except NoAnswer as error:
                detail = str(error)
            asked = Asked(kind, due, time.monotonic(), status, detail, retry_after)
            with self._lock:
                self.asked.append(asked)
                if kind == "buy":
                    self._heard(bought, asked, content, patient_until)

    def _heard(self, bought: Bought, asked: Asked, content: bytes, patient_until: float) -> None:
        if asked.status == 201:
            bought.bodies.add(content)
            bought.order_id = json.loads(content)["id"]
            bought.answered_at = asked.answered
        elif asked.answered < patient_until:
            self._again.append((asked.answered + AGAIN_SECONDS, patient_until, bought))
        else:
            self.given_up.append(bought)

    def _request(self, kind: str, bought: Bought) -> tuple[str, str, dict[str, str], bytes | None]:
        headers = {"authorization": f"Bearer {self._tokens[bought.buyer]}"}
        if kind == "product":
            return "GET", "/api/v1/products?limit=5", {}, None
        if kind == "orders":
            return "GET", "/api/v1/orders?limit=5", headers, None
        if kind == "order" and (known := self._order_of(bought)):
            return "GET", f"/api/v1/orders/{known.order_id}", {"authorization": f"Bearer {self._tokens[known.buyer]}"}, None
        if kind == "order":
            return "GET", "/api/v1/orders?limit=5", headers, None
        body = json.dumps({
            "lines": [{"variant_id": variant, "quantity": quantity} for variant, quantity in bought.lines],
            "currency": "EUR", "shipping_address": ADDRESS, "payment_method": {"token": bought.token},
        }).encode()
        return "POST", "/api/v1/orders", headers | {"content-type": "application/json", "idempotency-key": bought.key}, body

    def _order_of(self, chance: Bought) -> Bought | None:
        """One of the last orders, chosen as `chance` was."""
        with self._lock:
            known = [one for one in self.bought[-200:] if one.order_id]
        return known[int(chance.key[:8], 16) % len(known)] if known else None
