"""What clients do while a service is ending, and after it has come back."""

from __future__ import annotations

import collections
import contextlib
import time
import uuid
from collections.abc import Iterator

import httpx

from tests.shop import SETTLED, Shop, eventually

CSV = """Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty
crash-{id},Crash {id},Title,Default Title,CRASH-{id},9.99,5
"""


class Scenario:
    """Drives every path that has crash points, whatever the answers are: the service is dying."""

    def __init__(self, stack, shop: Shop, points: str, services: list[str]) -> None:
        """`points`: their names, which tell what to begin with. `services`: those that are to end."""
        self.stack, self.shop, self.points = stack, shop, points
        self.dying = [stack.part(service).process for service in services]
        self.staff = shop.staff()
        self.buyer = shop.sign_up()
        self.variant = shop.stock_product(self.staff, stock=1_000)
        self.free = shop.stock_product(self.staff, stock=1_000, price=0)
        self.earlier = self.order_before()
        self.orders: dict[str, dict] = {}
        self.unanswered: list[tuple[str, str]] = []  # key, token
        self.refunds: dict[str, tuple[str, bytes | None]] = {}  # by key: the payment, the answer
        self.saw: collections.Counter = collections.Counter()
        self.during = "nothing"
        for person in (self.buyer, self.staff):
            person.http.event_hooks["response"].append(self.hear)

    def order_before(self) -> str:
        order_id = self.buyer.order([(self.variant, 1)]).json()["id"]
        self.buyer.wait_for(order_id, "paid")
        return self.buyer.payments(order_id)[0]["id"]

    def hear(self, answer: httpx.Response) -> None:
        if answer.request.method != "GET" or answer.status_code != 200:
            self.saw[str(answer.status_code)] += 1

    @contextlib.contextmanager
    def whatever(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError:
            self.saw["no answer"] += 1

    def crashed(self) -> bool:
        return not all(process.alive() for process in self.dying)

    def drive(self) -> None:
        """Each way once, what the point's name speaks of first."""
        first = {
            "import": self.import_products, "refund": self.refund_a_part, "cancel": self.cancel_at_once,
            "close": self.cancel_when_paid, "webhook": self.be_told_by_webhook, "ask": self.be_unknown,
            "abandon": self.be_refused_after_reserving, "release": self.be_refused_after_reserving,
        }  # fmt: skip
        steps = [
            self.buy, self.be_declined, self.be_refused_after_reserving, self.cancel_at_once, self.cancel_when_paid,
            self.refund_a_part, self.be_unknown, self.cancel_unsent, self.be_told_by_webhook, self.import_products,
            self.register,
        ]  # fmt: skip
        steps.sort(key=lambda step: not any(word in self.points and step == way for word, way in first.items()))
        for step in steps:
            if self.crashed():
                return
            self.during = step.__name__.replace("_", " ")
            with self.whatever():
                step()

    def order(self, token: str) -> str | None:
        """One try; the key of one that was not answered is kept, to be asked again."""
        key = str(uuid.uuid4())
        with self.whatever():
            answer = self.buyer.order([(self.variant, 1)], token=token, key=key)
            if answer.status_code == 201:
                return self.remember(answer)
        self.unanswered.append((key, token))
        return None

    def remember(self, answer: httpx.Response) -> str:
        order_id = answer.json()["id"]
        self.orders[order_id] = answer.json()
        return order_id

    def status(self, order_id: str | None) -> str | None:
        if order_id is None:
            return None
        with contextlib.suppress(httpx.TransportError):
            answer = self.buyer.http.get(f"/api/v1/orders/{order_id}")
            return answer.json()["status"] if answer.status_code == 200 else None

    def wait_for(self, order_id: str | None, status: str, within: float = 4.0) -> bool:
        end = time.monotonic() + within
        while order_id is not None and time.monotonic() < end and not self.crashed():
            if self.status(order_id) == status:
                return True
            time.sleep(0.05)
        return False

    def cancel(self, order_id: str | None) -> None:
        if order_id is not None:
            with self.whatever():
                self.buyer.http.post(f"/api/v1/orders/{order_id}/cancel")

    def buy(self) -> None:
        self.wait_for(self.order("tok_ok"), "paid")

    def be_declined(self) -> None:
        self.wait_for(self.order("tok_declined"), "payment_failed")

    def be_refused_after_reserving(self) -> None:
        self.buyer.order([(self.free, 1)])

    def cancel_at_once(self) -> None:
        for token in ("tok_slow", "tok_error_then_ok"):
            order_id = self.order(token)
            self.cancel(order_id)
            self.wait_for(order_id, "cancelled")

    def cancel_when_paid(self) -> None:
        for token in ("tok_ok", "tok_refund_timeout"):
            order_id = self.order(token)
            if self.wait_for(order_id, "paid"):
                self.cancel(order_id)
                self.wait_for(order_id, "cancelled")

    def cancel_unsent(self) -> None:
        """The provider never gets the charge: its key is made void."""
        self.stack.kill("payment-simulator")
        try:
            order_id = self.order("tok_ok")
            if order_id is not None:
                self.wait_for_attempt(order_id)
            self.cancel(order_id)
        finally:
            self.stack.start("payment-simulator")
        self.wait_for(order_id, "cancelled")

    def wait_for_attempt(self, order_id: str) -> None:
        end = time.monotonic() + 2.0
        while time.monotonic() < end and not self.crashed():
            answer = self.buyer.http.get("/api/v1/payments", params={"order_id": order_id})
            if answer.status_code == 200 and answer.json()["data"]:
                return
            time.sleep(0.05)

    def refund_a_part(self) -> None:
        self.refund(self.earlier, str(uuid.uuid4()))

    def refund(self, payment: str, key: str) -> bytes | None:
        before = self.refunds.setdefault(key, (payment, None))[1]
        with self.whatever():
            answer = self.staff.http.post(
                f"/api/v1/payments/{payment}/refunds",
                json={"amount": {"amount": 1, "currency": "EUR"}, "reason": "damaged"},
                headers={"idempotency-key": key},
            )
            if answer.status_code == 202:
                assert before in (None, answer.content), f"one key, two bodies: {before!r} {answer.content!r}"
                self.refunds[key] = payment, answer.content
        return self.refunds[key][1]

    def be_unknown(self) -> None:
        for token in ("tok_timeout_after_capture", "tok_error_then_ok"):
            self.wait_for(self.order(token), "paid", within=8)

    def be_told_by_webhook(self) -> None:
        self.wait_for(self.order("tok_webhook_duplicate"), "paid")
        self.wait_for(self.order("tok_timeout_after_capture"), "paid")

    def import_products(self) -> None:
        answer = self.staff.http.post(
            "/api/v1/imports?currency=EUR",
            content=CSV.format(id=uuid.uuid4().hex[:8]),
            headers={"content-type": "text/csv"},
        )
        end = time.monotonic() + 4.0
        while answer.status_code == 202 and time.monotonic() < end and not self.crashed():
            seen = self.staff.http.get(answer.headers["location"])
            if seen.status_code == 200 and seen.json()["status"] in ("completed", "failed"):
                return
            time.sleep(0.05)

    def register(self) -> None:
        with contextlib.suppress(AssertionError):
            self.shop.sign_up()

    # ---- afterwards -------------------------------------------------------------------------------

    def ask_again(self) -> int:
        """What was not answered, with the same key, until it is; twice, and the same both times."""
        asked = len(self.unanswered) + len(self.refunds)
        for key, token in self.unanswered:
            bodies = {eventually(lambda k=key, t=token: self.repeat(k, t), what="an answer to a repeated key") for _ in "12"}
            assert len(bodies) == 1, f"one key, two answers: {bodies}"
        for key, (payment, _) in list(self.refunds.items()):
            eventually(lambda p=payment, k=key: self.refund(p, k), what="the refund's answer")
        return asked

    def repeat(self, key: str, token: str) -> bytes | None:
        with self.whatever():
            answer = self.buyer.order([(self.variant, 1)], token=token, key=key)
            if answer.status_code == 201:
                self.remember(answer)
                return answer.content
        return None

    def all_settled(self) -> collections.Counter | None:
        ends = collections.Counter(self.status(order_id) for order_id in self.orders)
        return ends if set(ends) <= SETTLED else None

    def refunds_are_done(self) -> bool:
        if not self.refunds:
            return True
        answer = self.staff.http.get(f"/api/v1/payments/{self.earlier}")
        ends = [refund["status"] for refund in answer.json()["refunds"]] if answer.status_code == 200 else []
        return len(ends) == len(self.refunds) and set(ends) == {"succeeded"}
