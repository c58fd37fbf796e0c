"""The short form of the section "deploys", and its pure parts."""

from __future__ import annotations

import collections

import pytest
from stack.services import SERVICES

from tests.resilience.section import Order
from tests.resilience.sections import deploys
from tests.steady import Asked, outage, quantile, schedule
from tests.type_id import uuid_of

VARIANTS = ["var_1", "var_2", "var_3"]


def asked(*answers: tuple[float, float, int | None]) -> list[Asked]:
    return [Asked("buy", due, answered, status) for due, answered, status in answers]


def test_the_same_seed_asks_the_same():
    def first(seed: int) -> list:
        return [schedule(seed, number, VARIANTS, 10) for number in range(200)]

    assert first(7) == first(7)
    assert first(7) != first(8)
    assert {kind for kind, _ in first(7)} == {"buy", "product", "order", "orders"}
    assert len({bought.key for _, bought in first(7)}) == 200


def test_nobody_reaches_the_limit_of_open_orders_while_a_broker_is_away():
    requests = int(deploys.RATE["proof"] * deploys.RECOVERY_SECONDS)
    asked_for = (schedule(1, number, VARIANTS, deploys.BUYERS["proof"]) for number in range(500, 500 + requests))
    orders = collections.Counter(bought.buyer for kind, bought in asked_for if kind == "buy")
    assert sum(orders.values()) > 1000
    assert max(orders.values()) <= deploys.OPEN_ORDERS_MAX


def test_an_outage_lasts_from_the_first_failure_to_the_last_answer_of_one():
    assert outage(asked((0, 0.1, 200), (1, 1.2, 201))) == 0
    assert outage(asked((0, 0.1, 200), (1, 1.2, 503), (2, 2.1, 201), (3, 5.5, None), (6, 6.1, 200))) == 4.5


def test_a_share_of_values_lies_below_its_quantile():
    assert quantile([], 0.99) == 0
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(n) for n in range(100)], 0.99) == 99.0


def test_an_id_is_the_uuid_in_it():
    assert uuid_of("ord_00000000000000000000000001") == "00000000-0000-0000-0000-000000000001"
    assert uuid_of("ord_01k9x5g2m4e8rb3v7n6s0qtyhd") == "019a7a58-0a84-7230-b1ec-f536417d7a2d"


@pytest.mark.parametrize(
    ("free", "loses", "lost", "answers", "wrong"),
    [
        (True, False, 0, [(0, 0.1, 200)], 0),
        (True, False, 0, [(0, 0.1, 503)], 1),
        (False, False, 0, [(0, 0.1, 503)], 0),
        (False, False, 1, [(0, 0.1, 200)], 1),
        (False, True, 1, [(0, 0.1, 200)], 0),
        (False, True, 0, [(0, 0.1, 503), (60, 60.1, 503)], 1),
    ],
)
def test_what_a_deed_may_do(free, loses, lost, answers, wrong):
    deed = deploys.Deed("deed", asked(*answers), 0, 1, free=free, loses=loses, lost=lost)
    assert len(deed.wrong()) == wrong


def test_calm_is_a_row_of_good_answers_after_the_deed():
    good = [(10 + n / 100, 10.5, 201) for n in range(deploys.CALM_REQUESTS)]
    assert deploys.calm(asked((9, 9.1, 503), *good), since=10)
    assert not deploys.calm(asked(*good), since=10.005), "one of them was due before"
    assert not deploys.calm(asked(*good[1:], (11, 11.1, 503)), since=10)


def test_every_service_is_rolled_and_postgresql_fails_over(tmp_path):
    section = deploys.run(Order(seed=1, size="short", folder=tmp_path))
    assert section.violations == []
    assert section.figures["deeds"] == len(SERVICES) + 1
    assert section.figures["orders"] > 50 and section.figures["requests"] > 400
