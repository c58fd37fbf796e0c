"""An operator's command that ends at a point, and comes again."""

from __future__ import annotations

import collections
import contextlib
import time
import uuid

import httpx

from tests.judge import eventually_clean, violations
from tests.resilience.crash import KILLED_ITSELF, Place, Visit
from tests.shop import Shop, eventually


NOTE = "bank transfer 7"


class Ended(Exception):
    """The command ended at its point."""


def run(stack, point: str | None, *command: str) -> str:
    try:
        return stack.run_command("payment-service", *command, environment={"STOA_CRASH_AT": point} if point else {})
    except RuntimeError as error:
        if point and f"ended with {KILLED_ITSELF}" in str(error):
            raise Ended from error
        raise


def settle_a_refund(stack, shop: Shop, point: str | None) -> Visit:
    """The provider refuses to refund a cancelled order: somebody pays by bank and says so. `point` None: without an end."""
    buyer = shop.sign_up()
    variant = shop.stock_product(shop.staff(), stock=10)
    order = buyer.order([(variant, 1)], token="tok_refund_refused").json()["id"]
    buyer.wait_for(order, "paid")
    assert buyer.http.post(f"/api/v1/orders/{order}/cancel").status_code == 202

    def open_refund() -> str | None:
        refunds = buyer.payments(order)[0]["refunds"]
        waiting = [refund["id"] for refund in refunds if refund["status"] in ("pending", "unknown")]
        return waiting[0] if len(refunds) > 2 and waiting else None

    def settled() -> bool:
        """What was cut off may have settled it already: the order ends, or has another open refund to settle."""
        if buyer.see_order(order)["status"] == "cancelled":
            return True
        if waiting := open_refund():
            with contextlib.suppress(RuntimeError):  # the sweep has ended it first: the next look finds another
                run(stack, None, "refunds", "settle", waiting, NOTE)
        return False

    refund = eventually(open_refund, what="a closing refund that waits to be repeated")
    ended = try_once(stack, point, "refunds", "settle", refund, NOTE)
    eventually(settled, what="a refund settled by hand")
    buyer.wait_for(order, "cancelled")
    assert buyer.payments(order)[0]["status"] == "refunded"
    return looked_at(stack, point, "settling a refund by hand", ended, {"cancelled": 1})


def repair_a_capture(stack, shop: Shop, point: str | None) -> Visit:
    """The provider has taken money that no order of ours explains: it is given back."""
    buyer = shop.sign_up()
    buyer.wait_for(buyer.order([(shop.stock_product(shop.staff(), stock=1), 1)]).json()["id"], "paid")  # that stays as it is
    headers = {"authorization": f"Bearer {stack.secret('provider-key')}", "idempotency-key": str(uuid.uuid4())}
    body = {"amount": 4711, "currency": "EUR", "token": "tok_ok", "capture": True}
    answer = httpx.post(f"{stack.url('payment-simulator')}/v1/payments", json=body, headers=headers)
    assert answer.json()["status"] == "captured", answer.text
    with contextlib.suppress(RuntimeError):  # differences are exit code 1
        assert " 0 differences" not in run(stack, None, "reconcile"), "a capture of nobody's was not noticed"
    ended = try_once(stack, point, "reconcile", "--repair")
    run(stack, None, "reconcile", "--repair")
    return looked_at(stack, point, "reconciling", ended, {})


def try_once(stack, point: str | None, *command: str) -> float | None:
    """When it ended at `point`; None where there is none."""
    if point is None:
        return None
    try:
        run(stack, point, *command)
    except Ended:
        return time.monotonic()
    raise AssertionError(f"no scenario reaches {point}")


def looked_at(stack, point: str | None, during: str, ended: float | None, ends: dict[str, int]) -> Visit:
    assert " 0 differences" in stack.run_command("payment-service", "reconcile")
    seconds = time.monotonic() - ended if ended else 0.0
    found = eventually_clean(lambda: violations(stack))
    assert not found, "\n".join(found)
    place = [Place(point, "payment-service")] if point else []
    return Visit(place, during, collections.Counter({"the command's end": 1}), 1, collections.Counter(ends), seconds)


def visit_by_command(stack, shop: Shop, point: str) -> Visit:
    """Raises AssertionError as `visit` does."""
    way = repair_a_capture if point.startswith("payment.repair.") else settle_a_refund
    return way(stack, shop, point)
