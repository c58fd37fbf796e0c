"""Refunds by staff: the cap holds, whatever the provider answers."""

from __future__ import annotations

import collections
import concurrent.futures
import uuid

import pytest

from tests.shop import Shop, eventually


def paid_order(shop: Shop, staff, token: str = "tok_ok", price: int = 1000):
    variant = shop.stock_product(staff, stock=5, price=price)
    buyer = shop.sign_up()
    order = buyer.order([(variant, 1)], token=token).json()
    buyer.wait_for(order["id"], "paid", within=60)
    payment = buyer.payments(order["id"])[0]
    return buyer, order, payment


def ask_refund(staff, payment: dict, amount: int, key: str | None = None):
    return staff.http.post(
        f"/api/v1/payments/{payment['id']}/refunds",
        json={"amount": {"amount": amount, "currency": "EUR"}, "reason": "damaged"},
        headers={"idempotency-key": key or str(uuid.uuid4())},
    )


def refunds_of(staff, payment: dict) -> list[dict]:
    return staff.http.get(f"/api/v1/payments/{payment['id']}").json()["refunds"]


def test_a_partial_refund_leaves_the_order_paid(shop: Shop, staff) -> None:
    buyer, order, payment = paid_order(shop, staff)
    asked = ask_refund(staff, payment, 400)
    assert asked.status_code == 202, asked.text
    assert asked.json()["status"] == "pending"
    eventually(lambda: [r["status"] for r in refunds_of(staff, payment)] == ["succeeded"], what="refund")
    assert buyer.see_order(order["id"])["status"] == "paid"
    shop.wait_for_mail(buyer.email, "refund")


def test_more_than_was_paid_cannot_be_refunded(shop: Shop, staff) -> None:
    _, _, payment = paid_order(shop, staff)
    assert ask_refund(staff, payment, 1001).status_code in (409, 422)
    assert ask_refund(staff, payment, 600).status_code == 202
    assert ask_refund(staff, payment, 401).status_code in (409, 422)


def test_parallel_refunds_never_pass_the_cap(shop: Shop, staff) -> None:
    _, _, payment = paid_order(shop, staff)

    def patiently(_: int) -> int:
        """Asks again with its key while the shop is busy, as a client would."""
        key = str(uuid.uuid4())
        return eventually(lambda: (status := ask_refund(staff, payment, 300, key).status_code) != 503 and status, what="an answer")

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = collections.Counter(pool.map(patiently, range(20)))
    assert answers == {202: 3, 409: 17}


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        ("tok_refund_fails_once", {"succeeded", "failed"}),
        ("tok_refund_refused", {"failed"}),
        ("tok_refund_timeout", {"succeeded"}),
    ],
)
def test_every_answer_to_a_refund_is_settled(shop: Shop, staff, token, outcome) -> None:
    _, _, payment = paid_order(shop, staff, token=token)
    assert ask_refund(staff, payment, 500).status_code == 202

    def settled() -> str | None:
        status = refunds_of(staff, payment)[0]["status"]
        return status if status in ("succeeded", "failed") else None

    assert eventually(settled, within=60, what="refund settled") in outcome


def test_a_customer_cannot_refund(shop: Shop, staff) -> None:
    buyer, _, payment = paid_order(shop, staff)
    assert ask_refund(buyer, payment, 100).status_code == 403
