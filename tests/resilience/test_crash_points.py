"""Every crash point of the sources is visited, and nothing is lost at any of them.

A service is restarted so that it ends at one named point (`_exit(137)`, as kill -9 would). What it
then does until it dies is driven from outside; afterwards it is started again, every order must
reach its end, and the audit must find nothing. The list comes from the sources (tools/crash-points):
a point that no scenario here reaches fails its test.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import time
import uuid

import httpx
import pika
import pytest

from tests.resilience.test_kill import eventually_clean
from tests.shop import SETTLED, Person, Shop, eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
# What only an operator's command passes: test_payment_crash_points has the command die there.
BY_COMMAND = "payment.refund_by_hand."
POINTS = [
    point["name"]
    for point in json.loads(subprocess.run([CHECKOUT / "tools/crash-points"], check=True, capture_output=True).stdout)
    if not point["name"].startswith(BY_COMMAND)
]
# Whose process visits a point: the word before the first dot. The kit's own points are visited in
# order-service, which both publishes and consumes.
SERVICE_OF = {
    "order": "order-service",
    "payment": "payment-service",
    "product": "product-service",
    "notification": "notification-service",
    "user": "user-service",
    "outbox": "order-service",
    "consumer": "order-service",
}
REACH_SECONDS = 45.0
HEAL_SECONDS = 60.0
CSV = """Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty
crash-{id},Crash {id},Title,Default Title,CRASH-{id},9.99,5
"""


class Scenario:
    """Drives every path that has crash points, whatever the answers are: the service is dying."""

    def __init__(self, stack, shop: Shop, service: str) -> None:
        self.stack, self.service = stack, service
        self.process = stack.part(service).process
        self.staff = shop.staff()
        self.buyer = shop.sign_up()
        self.variant = shop.stock_product(self.staff, stock=1_000)
        self.free = shop.stock_product(self.staff, stock=1_000, price=0)
        self.orders: dict[str, tuple[Person, bytes]] = {}

    def crashed(self) -> bool:
        return not self.process.alive()

    def drive(self) -> None:
        for step in (
            self.buy, self.be_declined, self.be_refused_after_reserving, self.cancel_at_once, self.cancel_when_paid,
            self.refund_a_part, self.be_unknown, self.import_products,
        ):  # fmt: skip
            if self.crashed():
                return
            with contextlib.suppress(httpx.TransportError):
                step()

    def place(self, token: str) -> str | None:
        """One try; a second with the same key when the answer was lost, as a client would."""
        key = str(uuid.uuid4())
        with contextlib.suppress(httpx.TransportError):
            answer = self.buyer.order([(self.variant, 1)], token=token, key=key)
            if answer.status_code == 201:
                return self.remember(answer)
        return None

    def remember(self, answer: httpx.Response) -> str:
        order_id = answer.json()["id"]
        self.orders[order_id] = (self.buyer, answer.content)
        return order_id

    def status(self, order_id: str | None) -> str | None:
        if order_id is None:
            return None
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
            self.buyer.http.post(f"/api/v1/orders/{order_id}/cancel")

    def buy(self) -> None:
        self.wait_for(self.place("tok_ok"), "paid")

    def be_declined(self) -> None:
        self.wait_for(self.place("tok_declined"), "payment_failed")

    def be_refused_after_reserving(self) -> None:
        self.buyer.order([(self.free, 1)])

    def cancel_at_once(self) -> None:
        for token in ("tok_slow", "tok_error_then_ok"):
            order_id = self.place(token)
            self.cancel(order_id)
            self.wait_for(order_id, "cancelled")

    def cancel_when_paid(self) -> None:
        for token in ("tok_ok", "tok_refund_timeout"):
            order_id = self.place(token)
            if self.wait_for(order_id, "paid"):
                self.cancel(order_id)
                self.wait_for(order_id, "cancelled")

    def refund_a_part(self) -> None:
        order_id = self.place("tok_ok")
        if order_id is None or not self.wait_for(order_id, "paid"):
            return
        payment = self.buyer.payments(order_id)[0]
        self.staff.http.post(
            f"/api/v1/payments/{payment['id']}/refunds",
            json={"amount": {"amount": 1, "currency": "EUR"}, "reason": "damaged"},
            headers={"idempotency-key": str(uuid.uuid4())},
        )

    def be_unknown(self) -> None:
        for token in ("tok_timeout_after_capture", "tok_error_then_ok"):
            self.wait_for(self.place(token), "paid", within=8)

    def import_products(self) -> None:
        self.staff.http.post(
            "/api/v1/imports?currency=EUR",
            content=CSV.format(id=uuid.uuid4().hex[:8]),
            headers={"content-type": "text/csv"},
        )

    def all_settled(self) -> bool:
        return all(self.status(order_id) in SETTLED for order_id in self.orders)


def leave_a_reservation_without_an_order(stack, shop: Shop) -> None:
    """order-service dies between reserving and storing; nobody asks again with that key."""
    stack.restart("order-service", environment={"STOA_CRASH_AT": "order.place.before_commit"})
    scenario = Scenario(stack, shop, "order-service")
    scenario.place("tok_ok")
    eventually(scenario.crashed, what="order-service ends before its commit")
    stack.restart("order-service")


def cancel_without_an_answer(stack, scenario: Scenario) -> None:
    """payment-service says nothing, so that the request to cancel has to be told again."""
    order_id = eventually(lambda: scenario.place("tok_ok"), what="an order, once the service is back")
    assert scenario.wait_for(order_id, "paid")
    stack.pause("payment-service")
    scenario.cancel(order_id)


@contextlib.contextmanager
def broker(stack):
    """A channel of the operator's."""
    known = stack.state()["rabbitmq"]
    connection = pika.BlockingConnection(
        pika.ConnectionParameters(
            known["host"], known["port"], credentials=pika.PlainCredentials(known["user"], known["password"])
        )
    )
    try:
        yield connection.channel()
    finally:
        connection.close()


def tell_of_an_unknown_order(stack) -> None:
    """A fact whose order never comes: the consumer hands it on to the queue of those that wait."""
    nobody = "0" * 26
    event = {
        "specversion": "1.0", "id": f"evt_{nobody}", "source": "payment-service", "type": "payment.captured.v1",
        "time": "2026-01-01T00:00:00.000Z", "subject": f"ord_{nobody}", "aggregateversion": 1,
        "datacontenttype": "application/json",
        "data": {"order_id": f"ord_{nobody}", "payment_id": f"pay_{nobody}", "customer_id": f"usr_{nobody}",
                 "amount": {"amount": 1, "currency": "EUR"}},
    }  # fmt: skip
    with broker(stack) as channel:
        properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
        channel.basic_publish("stoa.events", "payment.captured", json.dumps(event), properties)


def forget_the_unknown_order(stack) -> None:
    """Takes the fact, and the copy that the crash made of it, out of the queue of those that wait."""
    purged = []

    def gone() -> bool:
        with broker(stack) as channel:
            purged.append(channel.queue_purge("order-service.payment-results.wait-10s").method.message_count)
        return sum(purged) > 0 and purged[-8:] == [0] * 8

    eventually(gone, within=30, what="the fact in the queue of those that wait")


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_loses_nothing_at(point, proof_stack, proof_shop) -> None:
    service = SERVICE_OF[point.partition(".")[0]]
    if point.startswith("product.sweep."):
        leave_a_reservation_without_an_order(proof_stack, proof_shop)
    scenario = Scenario(proof_stack, proof_shop, service)
    environment = {"STOA_CRASH_AT": point}
    if service == "order-service":
        environment["STOA_CANCELLING_RETRY_SECONDS"] = "1"
    proof_stack.restart(service, environment=environment, wait=False)
    try:
        if point.startswith("order.repeat_cancel."):
            cancel_without_an_answer(proof_stack, scenario)
        if point == "consumer.before_reroute_confirm":
            tell_of_an_unknown_order(proof_stack)
        end = time.monotonic() + REACH_SECONDS
        while not scenario.crashed() and time.monotonic() < end:
            if point.startswith(("product.sweep.", "order.repeat_cancel.")):
                time.sleep(0.1)
            else:
                scenario.drive()
        assert scenario.crashed(), f"no scenario reaches {point}"
        assert scenario.process.exit_code() == 137, proof_stack.logs(service)
    finally:
        if point.startswith("order.repeat_cancel."):
            proof_stack.resume("payment-service")
        proof_stack.restart(service)
    if point == "consumer.before_reroute_confirm":
        forget_the_unknown_order(proof_stack)

    eventually(scenario.all_settled, within=HEAL_SECONDS, what="every order settled")
    for order_id, (buyer, first_answer) in scenario.orders.items():
        assert json.loads(first_answer)["id"] == order_id
        assert buyer.see_order(order_id)["number"] == json.loads(first_answer)["number"]


def test_after_all_of_them_the_invariants_hold(audit) -> None:
    assert eventually_clean(audit) == []
