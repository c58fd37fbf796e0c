"""From registration to the mail: what a shopper sees, through the public door only."""

from __future__ import annotations

import concurrent.futures
import time
import uuid

import pytest

from tests.shop import ADDRESS, Shop, eventually


def test_a_newcomer_registers_browses_searches_orders_pays_and_is_mailed(shop: Shop, staff) -> None:
    marker = uuid.uuid4().hex[:8]
    variant = shop.stock_product(staff, stock=5, price=1299, name=f"Lighthouse {marker}")
    buyer = shop.sign_up()
    shop.wait_for_mail(buyer.email, "welcome")

    listed = shop.http.get("/api/v1/products", params={"limit": 5})
    assert listed.status_code == 200 and listed.json()["data"]
    found = shop.http.get("/api/v1/products", params={"q": f"lighthouse {marker}"}).json()["data"]
    assert [p["variants"][0]["id"] for p in found] == [variant]
    product = shop.http.get(f"/api/v1/products/{found[0]['id']}").json()
    assert product["variants"][0]["prices"] == [{"amount": 1299, "currency": "EUR"}]

    placed = buyer.order([(variant, 2)])
    assert placed.status_code == 201, placed.text
    order = placed.json()
    assert order["status"] == "pending"
    assert order["total"] == {"amount": 2598, "currency": "EUR"}
    paid = buyer.wait_for(order["id"], "paid")
    assert paid["number"] == order["number"]

    payments = buyer.payments(order["id"])
    assert [p["status"] for p in payments] == ["captured"]
    mail = shop.wait_for_mail(buyer.email, order["number"])
    assert mail["html"] and mail["text"] and "25.98" in mail["text"]
    history = buyer.http.get(f"/api/v1/orders/{order['id']}/events").json()["data"]
    assert [e["type"] for e in history][:2] == ["order.placed", "order.paid"]


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        ("tok_ok", "paid"),
        ("tok_declined", "payment_failed"),
        ("tok_insufficient_funds", "payment_failed"),
        ("tok_3ds", "payment_failed"),
        ("tok_timeout_after_capture", "paid"),
        ("tok_slow", "paid"),
        ("tok_error_then_ok", "paid"),
        ("tok_webhook_duplicate", "paid"),
        ("tok_webhook_late", "paid"),
        ("tok_webhook_reordered", "paid"),
    ],
)
def test_every_answer_of_the_provider_ends_in_its_one_outcome(shop: Shop, staff, token, outcome) -> None:
    variant = shop.stock_product(staff, stock=3)
    buyer = shop.sign_up()
    order = buyer.order([(variant, 1)], token=token).json()
    buyer.wait_for(order["id"], outcome, within=60)
    captured = [p for p in buyer.payments(order["id"]) if p["status"] == "captured"]
    assert len(captured) == (1 if outcome == "paid" else 0)


def test_what_costs_nothing_is_ordered_with_something_that_does(shop: Shop, staff) -> None:
    gift, lamp = shop.stock_product(staff, stock=1, price=0), shop.stock_product(staff, stock=1, price=1250)
    buyer = shop.sign_up()
    refused = buyer.order([(gift, 1)])
    assert refused.status_code == 422 and refused.json()["code"] == "nothing_to_pay", refused.text

    # The refusal holds no stock: the one gift is there.
    placed = buyer.order([(gift, 1), (lamp, 1)])
    assert placed.status_code == 201, placed.text
    assert placed.json()["total"] == {"amount": 1250, "currency": "EUR"}
    buyer.wait_for(placed.json()["id"], "paid")


def test_a_decline_gives_the_stock_back(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=1)
    buyer = shop.sign_up()
    first = buyer.order([(variant, 1)], token="tok_declined").json()
    buyer.wait_for(first["id"], "payment_failed")
    shop.wait_for_mail(buyer.email, "payment")

    def bought() -> dict | None:
        answer = buyer.order([(variant, 1)])
        return answer.json() if answer.status_code == 201 else None

    second = eventually(bought, what="the released unit")
    buyer.wait_for(second["id"], "paid")


def test_cancel_after_payment_refunds_and_restocks(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=1)
    buyer = shop.sign_up()
    order = buyer.order([(variant, 1)]).json()
    buyer.wait_for(order["id"], "paid")

    asked = buyer.http.post(f"/api/v1/orders/{order['id']}/cancel")
    assert asked.status_code == 202, asked.text
    assert asked.json()["status"] in ("cancelling", "cancelled")
    buyer.wait_for(order["id"], "cancelled")
    payment = buyer.payments(order["id"])[0]
    assert payment["refunded"] == payment["captured"] == payment["amount"]
    shop.wait_for_mail(buyer.email, "cancelled")

    def restocked() -> bool:
        return buyer.order([(variant, 1)]).status_code == 201

    eventually(restocked, what="the restocked unit")


def test_cancel_at_once_never_keeps_the_money(shop: Shop, staff) -> None:
    """Before or during payment: whoever wins, nothing stays captured."""
    variant = shop.stock_product(staff, stock=20)
    buyer = shop.sign_up()
    for token in ("tok_ok", "tok_slow", "tok_timeout_after_capture", "tok_declined"):
        order = buyer.order([(variant, 1)], token=token).json()
        asked = buyer.http.post(f"/api/v1/orders/{order['id']}/cancel")
        # a decline that was quicker than we: the order is settled and cannot be cancelled
        assert asked.status_code in ((202, 409) if token == "tok_declined" else (202,)), asked.text
        if asked.status_code == 202:
            buyer.wait_for(order["id"], "cancelled", within=60)
        for payment in buyer.payments(order["id"]):
            assert payment["refunded"] == payment["captured"]


def test_cancelling_twice_is_one_cancel(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=1)
    buyer = shop.sign_up()
    order = buyer.order([(variant, 1)]).json()
    buyer.wait_for(order["id"], "paid")
    first = buyer.http.post(f"/api/v1/orders/{order['id']}/cancel")
    second = buyer.http.post(f"/api/v1/orders/{order['id']}/cancel")
    assert (first.status_code, second.status_code) == (202, 202)
    buyer.wait_for(order["id"], "cancelled")
    payment = buyer.payments(order["id"])[0]
    assert payment["refunded"] == payment["captured"] == payment["amount"]


def test_the_last_unit_raced_by_fifty_buyers_is_sold_once(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=1)
    buyers = [shop.sign_up() for _ in range(50)]
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda b: (b, b.order([(variant, 1)])), buyers))
    won = [(b, a.json()) for b, a in answers if a.status_code == 201]
    lost = [a for _, a in answers if a.status_code != 201]
    assert len(won) == 1, [a.status_code for _, a in answers]
    assert {a.status_code for a in lost} == {409}
    assert {a.json()["code"] for a in lost} == {"out_of_stock"}
    won[0][0].wait_for(won[0][1]["id"], "paid")


def test_a_price_sent_by_the_client_is_refused(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=1)
    buyer = shop.sign_up()
    answer = buyer.http.post(
        "/api/v1/orders",
        headers={"idempotency-key": str(uuid.uuid4())},
        json={
            "lines": [{"variant_id": variant, "quantity": 1, "unit_price": {"amount": 1, "currency": "EUR"}}],
            "currency": "EUR",
            "shipping_address": ADDRESS,
            "payment_method": {"token": "tok_ok"},
        },
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert [e["pointer"] for e in problem["errors"]] == ["/lines/0/unit_price"]
    assert problem["errors"][0]["code"] == "unknown_member"


def test_another_users_order_does_not_exist(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=1)
    owner, other = shop.sign_up(), shop.sign_up()
    order = owner.order([(variant, 1)]).json()
    for path in ("", "/events"):
        assert other.http.get(f"/api/v1/orders/{order['id']}{path}").status_code == 404
    assert other.http.post(f"/api/v1/orders/{order['id']}/cancel").status_code == 404
    assert other.payments(order["id"]) == []
    assert shop.http.get(f"/api/v1/orders/{order['id']}").status_code == 401
    owner.wait_for(order["id"], "paid")


def test_a_repeated_key_is_answered_byte_for_byte(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=5)
    buyer = shop.sign_up()
    key = str(uuid.uuid4())
    first = buyer.order([(variant, 1)], key=key)
    buyer.wait_for(first.json()["id"], "paid")
    again = buyer.order([(variant, 1)], key=key)
    assert again.status_code == first.status_code == 201
    assert again.content == first.content, "the stored first answer, not the current state"
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


def test_a_key_used_for_another_request_is_refused(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=5)
    buyer = shop.sign_up()
    key = str(uuid.uuid4())
    assert buyer.order([(variant, 1)], key=key).status_code == 201
    misuse = buyer.order([(variant, 2)], key=key)
    assert (misuse.status_code, misuse.json()["code"]) == (422, "idempotency_key_reused")


def test_a_hundred_twins_make_one_order(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=100)
    buyer = shop.sign_up()
    key = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: buyer.order([(variant, 1)], key=key), range(100)))
    made = {a.json()["id"] for a in answers if a.status_code == 201}
    assert len(made) == 1
    assert {a.status_code for a in answers} <= {201, 409, 429, 503}
    assert len({a.content for a in answers if a.status_code == 201}) == 1
    orders = buyer.http.get("/api/v1/orders").json()["data"]
    assert [o["id"] for o in orders] == list(made)
    counted = buyer.http.get("/api/v1/orders?include_total=estimate").json()
    assert counted["total"] == {"value": 1, "relation": "exact"}


def test_an_order_without_a_key_is_refused(shop: Shop, staff) -> None:
    variant = shop.stock_product(staff, stock=1)
    buyer = shop.sign_up()
    answer = buyer.http.post(
        "/api/v1/orders",
        json={
            "lines": [{"variant_id": variant, "quantity": 1}],
            "currency": "EUR",
            "shipping_address": ADDRESS,
            "payment_method": {"token": "tok_ok"},
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


def test_the_eleventh_open_order_is_refused(stack, shop: Shop, staff) -> None:
    """The provider says nothing meanwhile, so that no order is settled while the others arrive."""
    variant = shop.stock_product(staff, stock=100)
    buyer = shop.sign_up()
    stack.pause("payment-simulator")
    began = time.monotonic()
    try:
        with concurrent.futures.ThreadPoolExecutor(15) as pool:
            answers = list(pool.map(lambda _: buyer.order([(variant, 1)]), range(15)))
        seconds = time.monotonic() - began
    finally:
        stack.resume("payment-simulator")
    codes = [a.status_code for a in answers]
    assert codes.count(201) == 10, f"{codes} after {seconds:.1f} s"
    assert {a.json()["code"] for a in answers if a.status_code == 429} == {"too_many_open_orders"}
    for answer in answers:
        if answer.status_code == 201:
            buyer.wait_for(answer.json()["id"], "paid", within=60)
