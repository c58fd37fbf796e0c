"""The short plays that provoke mutants. The same play without its mutant must end clean.

Nothing here says what a mutant breaks: that is for tools/audit, or for the clients of the play where the
invariant is what clients may see (6 and 9).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait

import httpx

from tests.resilience.mutant_stage import Stage, at_once
from tests.shop import SETTLED, Person, eventually

KILLED_ITSELF = 137
# What tools/audit may find while a part is down: these are not healed by waiting.
STANDING = {"stock", "money", "idempotency"}


@dataclasses.dataclass(frozen=True)
class Finding:
    invariant: str
    what: str
    by: str  # "audit" or "client"


class Play:
    """One buyer, one product, and the service under trial, armed with what `arm` says."""

    def __init__(self, stage: Stage, service: str, arm: dict[str, str]) -> None:
        self.stage, self.stack, self.shop = stage, stage.stack, stage.shop
        self.service, self.arm = service, arm
        self.staff = self.shop.staff()
        self.buyer = self.new_buyer()
        self.variant = self.shop.stock_product(self.staff, stock=100)
        self.placed: dict[str, Person] = {}
        self.findings: list[Finding] = []

    def new_buyer(self) -> Person:
        buyer = self.shop.sign_up()
        # Its mail is out, so that what is armed next meets orders alone.
        self.shop.wait_for_mail(buyer.email, "")
        return buyer

    # ---- the service under trial ------------------------------------------------------------------

    def begin(self, environment: dict[str, str]) -> None:
        self.stack.restart(self.service, environment=environment | self.arm)

    def revive(self) -> None:
        """After its end, without the crash point and with the mutant."""
        self.stack.start(self.service, environment=self.arm)

    def await_crash(self) -> None:
        process = self.stack.part(self.service).process
        eventually(lambda: process.exit_code() is not None, within=20, what=f"the end of {self.service}")
        assert process.exit_code() == KILLED_ITSELF, self.stack.logs(self.service)

    # ---- the clients ------------------------------------------------------------------------------

    def place(self, token: str = "tok_ok", key: str | None = None) -> str:
        return self.remember(self.buyer.order([(self.variant, 1)], token=token, key=key), self.buyer)

    def remember(self, answer: httpx.Response, buyer: Person) -> str:
        assert answer.status_code == 201, answer.text
        order = answer.json()["id"]
        self.placed[order] = buyer
        return order

    def insist(self, key: str) -> str:
        """The same key until it is answered, as a client must after no answer."""

        def placed() -> str | None:
            with contextlib.suppress(httpx.TransportError, AssertionError):
                return self.place(key=key)
            return None

        return eventually(placed, within=20, what="an answer to the repeated key")

    def try_once(self, key: str) -> None:
        with contextlib.suppress(httpx.TransportError, AssertionError):
            self.place(key=key)

    def paid(self, order: str) -> str:
        """The id of its payment."""
        self.buyer.wait_for(order, "paid", within=12)
        return self.buyer.payments(order)[0]["id"]

    def cancel(self, order: str) -> None:
        answer = self.buyer.http.post(f"/api/v1/orders/{order}/cancel")
        assert answer.status_code == 202, answer.text

    def refund(self, payment: str, amount: int) -> httpx.Response:
        return self.staff.http.post(
            f"/api/v1/payments/{payment}/refunds",
            json={"amount": {"amount": amount, "currency": "EUR"}, "reason": "damaged"},
            headers={"idempotency-key": str(uuid.uuid4())},
        )

    def settle(self, within: float = 12) -> None:
        """Waits until each order has its end; one that never comes is for the audit to name."""

        def ended() -> bool:
            answers = [buyer.http.get(f"/api/v1/orders/{order}") for order, buyer in self.placed.items()]
            return all(a.status_code == 200 and a.json()["status"] in SETTLED for a in answers)

        with contextlib.suppress(AssertionError):
            eventually(ended, within=within, what="every order settled")

    # ---- what is seen -----------------------------------------------------------------------------

    def witness(self, invariant: str, what: str) -> None:
        self.findings.append(Finding(invariant, what, "client"))

    def look(self) -> None:
        """What no waiting heals, seen twice: for moments at which a part is down."""
        seen = [
            {(v["invariant"], v["what"]) for v in self.stage.audit([]) or [] if v["invariant"] in STANDING}
            for _ in range(2)
        ]
        self.findings += [Finding(*key, "audit") for key in sorted(seen[0] & seen[1])]


# ---- plays ------------------------------------------------------------------------------------------


def buy(play: Play) -> None:
    play.place()
    play.settle()


def buy_from_a_silent_provider(play: Play) -> None:
    play.place("tok_timeout_after_capture")
    play.settle()


def buy_from_a_slow_provider(play: Play) -> None:
    """It answers, late: no webhook of its own tells the outcome before we ask."""
    play.place("tok_slow")
    play.settle()


def crash_while_buying(play: Play) -> None:
    play.place()
    play.await_crash()
    play.revive()
    play.settle()


def crash_after_mailing(play: Play) -> None:
    play.stage.interruptions += 1
    crash_while_buying(play)


def repeat_the_key_after_a_crash(play: Play) -> None:
    key = str(uuid.uuid4())
    play.try_once(key)
    play.await_crash()
    play.revive()
    play.insist(key)
    play.settle()


def one_key_many_times_at_once(play: Play) -> None:
    key = str(uuid.uuid4())
    answers = at_once([lambda: play.buyer.order([(play.variant, 1)], key=key)] * 8)
    bodies = {a.content for a in answers if isinstance(a, httpx.Response) and a.status_code == 201}
    for body in bodies:
        play.placed[json.loads(body)["id"]] = play.buyer
    if len(bodies) != 1:
        play.witness("idempotency", f"one key had {len(bodies)} bodies")
    play.settle()


def ask_for_the_order_of_another(play: Play) -> None:
    order = play.place()
    if play.new_buyer().http.get(f"/api/v1/orders/{order}").status_code != 404:
        play.witness("honesty", "an order was shown to another user")
    play.settle()


def cancel_before_the_provider_answers(play: Play) -> None:
    play.cancel(play.place("tok_timeout_after_capture"))
    play.settle()


def deliver_a_payment_twice(play: Play) -> None:
    with play.stage.tap() as first:
        play.paid(play.place())
        play.stage.put("order-service.payment-results", first("payment.captured"))
    play.settle()


def active_reservations(play: Play) -> int:
    with play.stage.database("products") as db:
        return db.execute("SELECT count(*) FROM reservations WHERE state = 'active'").fetchone()[0]


def tell_the_end_again(play: Play) -> None:
    """Under another event id, as one does who publishes it again by hand."""
    with play.stage.tap() as first:
        play.paid(play.place())
        event = json.loads(first("order.paid"))
    event["id"] = f"evt_0{uuid.uuid4().hex[:25]}"
    # Not in one batch with the first, of which both would be one effect.
    eventually(lambda: active_reservations(play) == 0, within=10, what="stock that is sold")
    play.stage.put("product-service.order-settled", json.dumps(event).encode())
    play.settle()


def overdue_answered(play: Play) -> int:
    """How often order-service has said so far what became of an overdue reservation."""
    log = play.stack.part("order-service").process.log.read_text(errors="replace")
    return sum('/abandon","status":200' in line for line in log.splitlines())


def pay_after_the_reservation_is_due(play: Play) -> None:
    answered_before = overdue_answered(play)
    play.stack.kill("payment-simulator")
    play.place()
    eventually(lambda: overdue_answered(play) > answered_before, within=20, what="the sweep of overdue reservations")
    play.stack.start("payment-simulator")
    play.settle()


def lose_an_order_on_its_way_to_payment(play: Play) -> None:
    play.stack.stop("payment-service")
    play.place()
    play.stage.take("payment-service.order-placed")
    play.stack.start("payment-service")
    play.settle(within=15)


def place_after_its_cancel(play: Play) -> None:
    play.stack.stop("payment-service")
    order = play.place()
    placed = play.stage.take("payment-service.order-placed")
    play.cancel(order)
    play.revive()
    play.buyer.wait_for(order, "cancelled", within=12)
    play.stage.put("payment-service.order-placed", placed)
    play.settle()


def refund_all_of_it_twice(play: Play) -> None:
    payment = play.paid(play.place())
    play.stage.drop_constraint("payments", "payments", "payments_refund_cap")
    play.stack.kill("payment-simulator")
    for _ in range(2):
        play.refund(payment, 1250)
    play.stack.kill("payment-service")
    play.stack.start("payment-simulator")
    play.look()
    play.revive()
    refunds_end(play, payment)


def refund_by_a_silent_provider(play: Play) -> None:
    payment = play.paid(play.place("tok_refund_timeout"))
    assert play.refund(payment, 100).status_code == 202
    refunds_end(play, payment)


def refunds_end(play: Play, payment: str) -> None:
    def ended() -> bool:
        answer = play.staff.http.get(f"/api/v1/payments/{payment}")
        return answer.status_code == 200 and all(
            refund["status"] in ("succeeded", "failed") for refund in answer.json()["refunds"]
        )

    with contextlib.suppress(AssertionError):
        eventually(ended, within=12, what="refunds that have ended")


def race_for_the_last_ones(play: Play) -> None:
    """Six reserve while the row of the stock cannot be written, and so have all read it before one writes."""
    play.stage.drop_constraint("products", "stock", "stock_covers_reservations")
    buyers = [play.buyer, *(play.new_buyer() for _ in range(5))]
    scarce = play.shop.stock_product(play.staff, stock=1)
    with ThreadPoolExecutor(len(buyers)) as pool:
        with play.stage.held("products", "SELECT FROM stock FOR UPDATE"):
            answers = [pool.submit(buyer.order, [(scarce, 1)]) for buyer in buyers]
            eventually(lambda: len(play.stage.waiting("products")) >= 2, within=4, what="reservations that wait")
        for buyer, answer in zip(buyers, answers, strict=True):
            if answer.result().status_code == 201:
                play.remember(answer.result(), buyer)
    play.settle()


def settle_by_event_and_by_sweep(play: Play) -> None:
    """The event of a paid order comes while the sweep of overdue reservations settles it too."""
    for constraint in ("stock_covers_reservations", "stock_reserved_check"):
        play.stage.drop_constraint("products", "stock", constraint)
    play.stack.kill("payment-simulator")
    order = play.place()
    play.stack.stop("product-service")
    play.stack.start("payment-simulator")
    play.paid(order)
    paid = play.stage.take("product-service.order-settled")
    with play.stage.held("products", "SELECT FROM stock FOR UPDATE"):
        play.revive()
        eventually(lambda: len(play.stage.waiting("products")) >= 1, within=12, what="the sweep at the stock's row")
        play.stage.put("product-service.order-settled", paid)
        eventually(lambda: len(play.stage.waiting("products")) >= 2, within=4, what="the event behind the sweep")
    play.settle()


BY_ID = "%FROM orders WHERE id = $1%"


def read_beside_one_that_fails(play: Play) -> None:
    """Reads that share a round trip; the first of them is cancelled, those behind it were never executed."""
    orders = [play.place() for _ in range(4)]
    play.settle()
    clients = [httpx.Client(base_url=play.shop.gateway, headers=play.buyer.http.headers, timeout=20) for _ in range(12)]
    with ThreadPoolExecutor(len(clients)) as pool:

        def read_all() -> list[Future]:
            """They lie in the sockets of one that does not read, and are then read in one turn of its loop."""
            play.stack.pause("order-service")
            answers = [pool.submit(client.get, f"/api/v1/orders/{orders[i % 4]}") for i, client in enumerate(clients)]
            time.sleep(0.5)  # nothing tells when they lie there
            play.stack.resume("order-service")
            return answers

        # At first for the gateway to have a connection for each.
        wait(read_all())
        with play.stage.held("orders", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"):
            answers = read_all()
            reads = eventually(lambda: play.stage.waiting("orders", BY_ID), within=4, what="reads that wait")
            play.stage.cancel("orders", reads)
        statuses = [answer.result().status_code for answer in answers]
    if set(statuses) - {200, 503}:
        play.witness("honesty", f"an order that exists was answered {sorted(set(statuses))}")


def mail_slowly(play: Play) -> None:
    play.shop.mail.put("/api/faults", json={"delay_ms": 2500}).raise_for_status()
    try:
        play.place()
        play.settle()
        play.shop.wait_for_mail(play.buyer.email, "", within=10)
        eventually(lambda: len(play.shop.mails_to(play.buyer.email)) >= 2, within=10, what="the order's mail")
    finally:
        play.shop.mail.put("/api/faults", json={"delay_ms": 0}).raise_for_status()
