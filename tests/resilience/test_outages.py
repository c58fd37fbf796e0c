"""A broker that is away for three pending deadlines cancels no order and loses no stock.

Profile `proof`: orders have 10 s to be settled, reservations 15 s. During the outage order.placed
cannot leave its outbox, so both deadlines pass several times over.
"""

from __future__ import annotations

import time

import psycopg

from tests.judge import eventually_clean
from tests.shop import eventually

PENDING_DEADLINE_SECONDS = 10
ORDERS = 12


def reserved(stack) -> int:
    with psycopg.connect(stack.dsn("products")) as db:
        return db.execute("SELECT coalesce(sum(reserved), 0) FROM stock").fetchone()[0]


def test_a_broker_outage_of_three_deadlines_cancels_no_order(proof_stack, proof_shop, audit) -> None:
    staff = proof_shop.staff()
    variant = proof_shop.stock_product(staff, stock=1_000)
    buyers = [proof_shop.sign_up() for _ in range(4)]
    before = reserved(proof_stack)

    proof_stack.kill("rabbitmq")
    placed = []
    for number in range(ORDERS):
        buyer = buyers[number % len(buyers)]
        answer = buyer.order([(variant, 1)])
        assert answer.status_code == 201, f"orders are accepted without a broker: {answer.text}"
        placed.append((buyer, answer.json()["id"]))

    end = time.monotonic() + 3 * PENDING_DEADLINE_SECONDS + 2
    while time.monotonic() < end:
        for buyer, order_id in placed:
            assert buyer.see_order(order_id)["status"] == "pending"
        assert reserved(proof_stack) == before + ORDERS, "a delayed order keeps its stock"
        time.sleep(0.5)

    proof_stack.restart("rabbitmq")
    for buyer, order_id in placed:
        buyer.wait_for(order_id, "paid", within=60)
    eventually(lambda: reserved(proof_stack) == before, what="reservations committed")
    assert eventually_clean(audit) == []


def test_redis_away_is_slower_and_not_wrong(proof_stack, proof_shop, audit) -> None:
    staff = proof_shop.staff()
    variant = proof_shop.stock_product(staff, stock=10)
    proof_stack.kill("redis")
    buyer = proof_shop.sign_up()
    order = buyer.order([(variant, 1)])
    assert order.status_code == 201, order.text
    buyer.wait_for(order.json()["id"], "paid")
    assert proof_shop.http.get("/api/v1/products").status_code == 200
    proof_stack.restart("redis")
    assert eventually_clean(audit) == []


def test_a_frozen_broker_is_noticed_and_left(proof_stack, proof_shop, audit) -> None:
    """SIGSTOP keeps every connection open: only the heartbeat tells."""
    staff = proof_shop.staff()
    variant = proof_shop.stock_product(staff, stock=10)
    buyer = proof_shop.sign_up()
    proof_stack.pause("rabbitmq")
    order = buyer.order([(variant, 1)])
    assert order.status_code == 201, order.text
    proof_stack.resume("rabbitmq")
    buyer.wait_for(order.json()["id"], "paid", within=60)
    assert eventually_clean(audit) == []


def test_a_frozen_database_is_503_within_the_deadline(proof_stack, proof_shop) -> None:
    staff = proof_shop.staff()
    variant = proof_shop.stock_product(staff, stock=10)
    buyer = proof_shop.sign_up()
    proof_stack.pause("postgres")
    try:
        begin = time.monotonic()
        answer = buyer.order([(variant, 1)])
        assert time.monotonic() - begin < 15
        assert answer.status_code in (503, 504), answer.text
        assert "retry-after" in answer.headers
    finally:
        proof_stack.resume("postgres")

    def works_again() -> bool:
        return buyer.order([(variant, 1)]).status_code == 201

    eventually(works_again, within=30, what="the database is back")
