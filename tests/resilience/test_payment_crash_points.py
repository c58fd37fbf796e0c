"""payment-service ends at each of its crash points, in the middle of orders, cancels and refunds.

The points come from the sources (tools/crash-points); one that a run does not pass fails it. The
witness is tools/audit, and payment-service's own reconcile.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
import uuid

import httpx
import pytest

from stack import Stack
from tests.shop import Person, Shop, eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
KILLED_ITSELF = 137
# What only an operator's command passes; tried by hand at the end of this file.
BY_COMMAND = "payment.refund_by_hand."
POINTS = [
    point["name"]
    for point in json.loads(subprocess.check_output([CHECKOUT / "tools/crash-points"]))
    if point["name"].startswith("payment.") and not point["name"].startswith(BY_COMMAND)
]


@pytest.fixture(scope="module")
def proof_stack():
    """Short leases, so that what a dead replica held is taken over soon."""
    quick = {"STOA_LEASE_MS": "1000", "STOA_PROVIDER_TIMEOUT_MS": "500"}
    with Stack(profile="proof", environment={"payment-service": quick}) as running:
        yield running


@pytest.fixture(scope="module")
def staff(proof_shop: Shop) -> Person:
    return proof_shop.staff()


@pytest.fixture(scope="module")
def variant(proof_shop: Shop, staff: Person) -> str:
    return proof_shop.stock_product(staff, stock=10_000)


def place(buyer: Person, variant: str, token: str = "tok_ok") -> str:
    answer = buyer.order([(variant, 1)], token=token)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def cancel(buyer: Person, order: str) -> None:
    assert buyer.http.post(f"/api/v1/orders/{order}/cancel").status_code == 202


def has_ended(stack: Stack) -> bool:
    return stack.part("payment-service").process.exit_code() is not None


def refund_until_accepted(staff: Person, payment: str, key: str) -> httpx.Response | None:
    """The same key again and again, as a client must after no answer."""
    try:
        answer = staff.http.post(
            f"/api/v1/payments/{payment}/refunds",
            json={"amount": {"amount": 100, "currency": "EUR"}, "reason": "damaged"},
            headers={"idempotency-key": key},
        )
    except httpx.TransportError:
        return None
    return answer if answer.status_code == 202 else None


def live_through(stack: Stack, buyer: Person, variant: str) -> tuple[list[str], list[str]]:
    """Every way that money goes; returns the orders that end paid and those that end cancelled."""
    kept = [place(buyer, variant), place(buyer, variant, "tok_timeout_after_capture")]
    lost_refund = place(buyer, variant, "tok_refund_timeout")
    at_once = place(buyer, variant, "tok_timeout_after_capture")
    cancel(buyer, at_once)
    time.sleep(0.3)  # most are captured by now, none has to be
    cancel(buyer, lost_refund)
    # One that the provider never gets: its key is made void.
    stack.kill("payment-simulator")
    never_sent = place(buyer, variant)
    time.sleep(0.6)
    cancel(buyer, never_sent)
    stack.start("payment-simulator")
    return kept, [lost_refund, at_once, never_sent]


@pytest.mark.parametrize("point", POINTS)
def test_ending_at_a_crash_point_loses_and_doubles_nothing(
    point: str, proof_stack: Stack, proof_shop: Shop, staff: Person, variant: str, audit
) -> None:
    buyer = proof_shop.sign_up()
    earlier = place(buyer, variant)
    buyer.wait_for(earlier, "paid")
    payment = buyer.payments(earlier)[0]["id"]

    proof_stack.restart("payment-service", environment={"STOA_CRASH_AT": point})
    key = str(uuid.uuid4())
    first = refund_until_accepted(staff, payment, key)
    kept, cancelled = live_through(proof_stack, buyer, variant)
    eventually(lambda: has_ended(proof_stack), within=20, what=f"the end at {point}")
    assert proof_stack.part("payment-service").process.exit_code() == KILLED_ITSELF
    proof_stack.start("payment-service")

    again = eventually(lambda: refund_until_accepted(staff, payment, key), what="the refund's answer")
    assert first is None or first.content == again.content, "one key, one body"
    for order in kept:
        buyer.wait_for(order, "paid")
    for order in cancelled:
        buyer.wait_for(order, "cancelled")
    refunds = eventually(lambda: settled_refunds(staff, payment), what="the refund")
    assert [(refund["status"], refund["amount"]["amount"]) for refund in refunds] == [("succeeded", 100)]
    eventually(lambda: audit() == [], within=30, what="an audit without a finding")
    assert " 0 differences" in proof_stack.run_command("payment-service", "reconcile")


def settled_refunds(staff: Person, payment: str) -> list[dict] | None:
    answer = staff.http.get(f"/api/v1/payments/{payment}")
    if answer.status_code != 200:
        return None
    refunds = answer.json()["refunds"]
    return refunds if refunds and all(r["status"] in ("succeeded", "failed") for r in refunds) else None


@pytest.mark.parametrize("crash", [None, "before_commit", "after_commit"])
def test_a_refund_settled_by_hand_closes_the_order(
    crash: str | None, proof_stack: Stack, proof_shop: Shop, staff: Person, variant: str, audit
) -> None:
    buyer = proof_shop.sign_up()
    order = place(buyer, variant, "tok_refund_refused")
    buyer.wait_for(order, "paid")
    cancel(buyer, order)

    def open_refund() -> str | None:
        refunds = buyer.payments(order)[0]["refunds"]
        waiting = [refund["id"] for refund in refunds if refund["status"] in ("pending", "unknown")]
        return waiting[0] if len(refunds) > 2 and waiting else None

    refund = eventually(open_refund, what="a closing refund that waits to be repeated")
    settle = ("payment-service", "refunds", "settle", refund, "bank transfer 7")
    if crash:
        with pytest.raises(RuntimeError, match=f"ended with {KILLED_ITSELF}"):
            proof_stack.run_command(*settle, environment={"STOA_CRASH_AT": BY_COMMAND + crash})
    if crash != "after_commit":
        proof_stack.run_command(*settle)
    buyer.wait_for(order, "cancelled")
    assert buyer.payments(order)[0]["status"] == "refunded"
    assert " 0 differences" in proof_stack.run_command("payment-service", "reconcile")
    assert not any(finding.startswith("ledger") for finding in audit())
