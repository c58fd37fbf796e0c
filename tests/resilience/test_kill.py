"""kill -9 of every part while orders come in; afterwards the invariants hold.

Profile `proof`: production settings on disk, short deadlines. The witness is tools/audit, which
looks at the databases, the queues, the provider's statement and the mail sink itself.
"""

from __future__ import annotations

import threading
import time

import pytest
from stack.services import SERVICES

from tests.judge import eventually_clean
from tests.load import Load
from tests.shop import Shop, eventually

ORDERS = 200
PARTS = [*SERVICES, "payment-simulator", "redis", "rabbitmq", "postgres"]
HEAL_SECONDS = 30.0


@pytest.fixture(scope="module")
def buyers(proof_shop: Shop):
    return [proof_shop.sign_up() for _ in range(24)]


@pytest.fixture(scope="module")
def variants(proof_shop: Shop):
    staff = proof_shop.staff()
    return [proof_shop.stock_product(staff, stock=10_000) for _ in range(12)]


@pytest.mark.parametrize("part", PARTS)
def test_kill_9_loses_doubles_oversells_and_sticks_nothing(
    part, proof_stack, proof_shop, buyers, variants, audit, record_property
) -> None:
    load = Load(proof_shop, buyers, variants, seed=PARTS.index(part))
    worker = threading.Thread(target=load.run, args=(ORDERS,))
    worker.start()
    assert load.under_way.wait(120), "the load never got under way"
    proof_stack.kill(part)
    proof_stack.restart(part)
    healed_from = time.monotonic()
    worker.join(300)
    assert not worker.is_alive()

    assert load.unexpected == []
    assert len(load.accepted()) == ORDERS, load.summary()
    assert all(len(told.bodies) == 1 for told in load.accepted()), "one key, one body"
    eventually(lambda: not load.unsettled(), within=HEAL_SECONDS + 30, what="every order settled")
    record_property("healed_seconds", round(time.monotonic() - healed_from, 2))
    record_property("load", str(load.summary()))

    violations = eventually_clean(audit)
    assert violations == [], "\n".join(violations)
