"""Independent clients: they retry with their key, give up too early, ask twice at once, cancel and look.

They speak the public API through whichever gateway answers, and hand everything they hear to the witness.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import threading
import time
from typing import Any

import httpx

from tests.resilience.chaos.errands import WEBHOOK_TOKENS, Errand
from tests.resilience.chaos.witness import PATIENCE_SECONDS, Lost, Witness
from tests.shop import ADDRESS, SETTLED

# Access tokens live 10 to 15 minutes; a client takes a new one before a clock that is 5 minutes off matters.
TOKEN_SECONDS = 180.0
INSIST_SECONDS = 90.0
PAUSE_SECONDS = 0.1
SETTLE_SECONDS = 40.0
PASSWORD = "correct horse battery"


class Doors:
    """The replicas of the gateway; whoever gets no answer tries the other one next."""

    def __init__(self, urls: list[str]) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=40)
        self.clients = [httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, limits=limits) for url in urls]
        self._turn = itertools.count()

    def next(self) -> int:
        return next(self._turn) % len(self.clients) + 1

    def close(self) -> None:
        for client in self.clients:
            client.close()


class Buyer:
    """One account. Its tokens are renewed by signing in, as a client does that lost its session."""

    def __init__(self, doors: Doors, witness: Witness, email: str, user_id: str = "", password: str = PASSWORD) -> None:
        self.doors, self.witness, self.email, self.id, self.password = doors, witness, email, user_id, password
        self._bearer = ""
        self._signed_in = float("-inf")
        self._lock = threading.Lock()

    def ask(
        self, asked: str, method: str, path: str, body: Any = None, key: str | None = None, seconds: float = PATIENCE_SECONDS
    ) -> httpx.Response | None:
        """One try; None when no answer came. Every answer has been judged."""
        bearer = self.bearer()
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return self._send(asked, method, path, body, headers | ({"idempotency-key": key} if key else {}), seconds)

    def insist(self, asked: str, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response | None:
        """Until an answer that is not 429 or 503; None when INSIST_SECONDS were not enough."""
        end = time.monotonic() + INSIST_SECONDS
        while time.monotonic() < end:
            answer = self.ask(asked, method, path, body, key)
            if answer is not None and answer.status_code not in (429, 503):
                return answer
            time.sleep(PAUSE_SECONDS)
        return None

    def bearer(self) -> str:
        with self._lock:
            if time.monotonic() - self._signed_in > TOKEN_SECONDS:
                self._sign_in()
            return self._bearer

    def _sign_in(self) -> None:
        credentials = {"email": self.email, "password": self.password}
        end = time.monotonic() + INSIST_SECONDS
        while time.monotonic() < end:
            answer = self._send("sign in", "POST", "/api/v1/auth/login", credentials, {}, PATIENCE_SECONDS)
            if answer is not None and answer.status_code == 200:
                told = answer.json()
                if told["user"]["email"] != self.email:
                    self.witness.wrong(f"sign in: {self.email} was answered for {told['user']['email']}")
                self.id = told["user"]["id"]
                self._bearer, self._signed_in = told["access_token"], time.monotonic()
                return
            time.sleep(PAUSE_SECONDS)

    def _send(
        self, asked: str, method: str, path: str, body: Any, headers: dict[str, str], seconds: float
    ) -> httpx.Response | None:
        door = self.doors.next()
        begin = time.monotonic()
        try:
            answer = self.doors.clients[door - 1].request(method, path, json=body, headers=headers, timeout=seconds)
        except httpx.TransportError as error:
            patient = seconds >= PATIENCE_SECONDS
            self.witness.no_answer(Lost(asked, door, begin, time.monotonic(), type(error).__name__, patient))
            return None
        self.witness.answer(asked, answer)
        return answer


@dataclasses.dataclass
class Market:
    """What the buyers share."""

    witness: Witness
    buyers: list[Buyer]
    staff: Buyer
    variants: list[str]
    twins: concurrent.futures.ThreadPoolExecutor


class Shopper:
    """Runs errands, one after the other."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.witness = market.witness

    def run(self, errand: Errand, provider_repeats: bool) -> None:
        buyer = self.market.buyers[errand.buyer]
        token = WEBHOOK_TOKENS[errand.number % len(WEBHOOK_TOKENS)] if provider_repeats else errand.token
        body = {
            "lines": [{"variant_id": self.market.variants[variant], "quantity": count} for variant, count in errand.lines],
            "currency": "EUR",
            "shipping_address": ADDRESS | {"name": f"Ada {errand.key}"},
            "payment_method": {"token": token},
        }
        order = self._place(buyer, errand, body)
        if order is not None:
            self._afterwards(buyer, errand, order)

    def _place(self, buyer: Buyer, errand: Errand, body: dict[str, Any]) -> dict[str, Any] | None:
        def once(seconds: float = PATIENCE_SECONDS) -> httpx.Response | None:
            answer = buyer.ask("order", "POST", "/api/v1/orders", body, errand.key, seconds)
            if answer is not None and answer.status_code == 201:
                self._hear(buyer, errand, body, answer)
            return answer

        if errand.manner == "parallel":
            others = [self.market.twins.submit(once) for _ in range(2)]
            once()
            for other in others:
                other.result()
        if errand.manner == "impatient":
            once(errand.impatience_seconds)
        answer = self._insist(once)
        if answer is None or answer.status_code != 201:
            return None
        if errand.manner == "again":
            once()
        if errand.manner == "key reused":
            other = body | {"lines": [dict(body["lines"][0], quantity=3)]}
            buyer.ask("order, key reused", "POST", "/api/v1/orders", other, errand.key)
        return answer.json()

    @staticmethod
    def _insist(once: Any) -> httpx.Response | None:
        end = time.monotonic() + INSIST_SECONDS
        while time.monotonic() < end:
            answer = once()
            if answer is not None and answer.status_code not in (429, 503):
                return answer
            time.sleep(PAUSE_SECONDS)
        return None

    def _hear(self, buyer: Buyer, errand: Errand, body: dict[str, Any], answer: httpx.Response) -> None:
        """A 201 is the asker's own order, with what was asked for, and the same as any before."""
        self.witness.one_body(errand.key, answer.content)
        order = answer.json()
        self.witness.promise(order)
        got = {(line["variant_id"], line["quantity"]) for line in order["lines"]}
        wanted = {(line["variant_id"], line["quantity"]) for line in body["lines"]}
        same_name = order["shipping_address"]["name"] == body["shipping_address"]["name"]
        if order["customer_id"] != buyer.id or got != wanted or not same_name:
            self.witness.wrong(f"an order that is not what {buyer.id} asked for: {answer.text[:500]}")

    def _afterwards(self, buyer: Buyer, errand: Errand, order: dict[str, Any]) -> None:
        wish = errand.afterwards
        if wish == "cancel at once":
            self._cancel(buyer, errand, order)
        elif wish == "cancel when settled" and self._settled(buyer, order["id"]):
            self._cancel(buyer, errand, order)
        elif wish == "refund" and self._settled(buyer, order["id"]) == "paid":
            self._refund(buyer, errand, order)
        elif wish == "look":
            self._look(buyer, order)
        elif wish == "look at others":
            stranger = self.market.buyers[(errand.buyer + 1) % len(self.market.buyers)]
            stranger.ask("foreign order", "GET", f"/api/v1/orders/{order['id']}")

    def _cancel(self, buyer: Buyer, errand: Errand, order: dict[str, Any]) -> None:
        answer = buyer.insist("cancel", "POST", f"/api/v1/orders/{order['id']}/cancel", key=f"{errand.key}-cancel")
        if answer is not None and answer.status_code == 202:
            self._own(buyer, order["id"], answer)
            self.witness.cancels.add(order["id"])

    def _settled(self, buyer: Buyer, order_id: str) -> str | None:
        end = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < end:
            answer = buyer.ask("see order", "GET", f"/api/v1/orders/{order_id}")
            if answer is not None and answer.status_code == 200:
                self._own(buyer, order_id, answer)
                if (status := answer.json()["status"]) in SETTLED:
                    return status
            time.sleep(PAUSE_SECONDS)
        return None

    def _refund(self, buyer: Buyer, errand: Errand, order: dict[str, Any]) -> None:
        """A part of the money back, by staff, asked twice at once with one key."""
        listed = buyer.insist("see payments", "GET", f"/api/v1/payments?order_id={order['id']}")
        if listed is None or listed.status_code != 200:
            return
        payments = listed.json()["data"]
        if len(payments) != 1 or payments[0]["order_id"] != order["id"]:
            self.witness.wrong(f"see payments: not the one of {order['id']}: {listed.text[:300]}")
            return
        amount = {"amount": max(1, order["total"]["amount"] // 3), "currency": order["currency"]}
        path, key = f"/api/v1/payments/{payments[0]['id']}/refunds", f"{errand.key}-refund"

        def give_back() -> None:
            answer = self.market.staff.insist("refund", "POST", path, {"amount": amount, "reason": errand.key}, key)
            if answer is not None and answer.status_code == 202:
                self.witness.one_body(key, answer.content)
                self.witness.refunds.add(answer.json()["id"])

        twin = self.market.twins.submit(give_back)
        give_back()
        twin.result()

    def _look(self, buyer: Buyer, order: dict[str, Any]) -> None:
        answer = buyer.ask("see order", "GET", f"/api/v1/orders/{order['id']}")
        if answer is not None and answer.status_code == 200:
            self._own(buyer, order["id"], answer)
        listed = buyer.ask("list orders", "GET", "/api/v1/orders?limit=20")
        if listed is not None and listed.status_code == 200:
            foreign = [one["id"] for one in listed.json()["data"] if one["customer_id"] != buyer.id]
            if foreign:
                self.witness.wrong(f"list orders: {buyer.id} was shown {foreign[:3]}")

    def _own(self, buyer: Buyer, order_id: str, answer: httpx.Response) -> None:
        told = answer.json()
        if told["id"] != order_id or told["customer_id"] != buyer.id:
            self.witness.wrong(f"{buyer.id} asked for {order_id} and was answered {answer.text[:300]}")
