"""How many SQL statements a checkout takes over all services: from the POST of an order until it is paid, its stock is
committed, its mail is sent, and nothing of it is left to do."""

from __future__ import annotations

import collections
import statistics
import time

import psycopg
import pytest

from stack.services import SERVICES_WITH_DATABASE
from tests.counts.statements import Executed, Tap
from tests.shop import eventually
from tests.under_way import UNDER_WAY

WARM_UP = 12  # every connection of every pool has prepared its statements
CHECKOUTS = 15
IDLE_SECONDS = 2.0
PERIOD_LOOKS = 2  # as often as each relay must have looked before the idle statements are known

UNTOLD = "SELECT count(*) FROM outbox"
MAILS_OF_ORDERS = "SELECT count(*) FROM deliveries WHERE kind = 'order_paid' AND status = 'sent'"

Key = tuple[str, str]  # service, text


class Shelves:
    """Asks the databases directly, past the tap."""

    def __init__(self, stack) -> None:
        self._databases = {
            database: psycopg.connect(stack.dsn(database, "postgres"), autocommit=True)
            for database in SERVICES_WITH_DATABASE.values()
        }

    def says(self, database: str, query: str):
        return self._databases[database].execute(query).fetchone()[0]

    def at_rest(self, mails: int) -> bool:
        """So many mails were sent, nothing is left to do, and there is nothing left to tell."""
        left = [*UNDER_WAY.items(), *((database, UNTOLD) for database in self._databases)]
        return self.says("notifications", MAILS_OF_ORDERS) >= mails and not any(self.says(*one) for one in left)

    def close(self) -> None:
        for database in self._databases.values():
            database.close()


@pytest.fixture(scope="module")
def shelves(stack):
    opened = Shelves(stack)
    yield opened
    opened.close()


class Checkout:
    """What was executed for one order: `work`, and looks of pollers that found nothing, which pass while it goes on."""

    def __init__(self, executed: list[Executed], idle: set) -> None:
        self.looks = [one for one in executed if one.rows == 0 and one.key in idle]
        self.work = [one for one in executed if one.rows > 0 or one.key not in idle]

    def per(self, key) -> collections.Counter:
        return collections.Counter(key(one) for one in self.work)


def idle_statements(tap: Tap) -> tuple[set, float]:
    """What is executed while nobody buys and finds nothing, and how many statements a second."""
    tap.take()
    began, seen = time.monotonic(), []

    def known() -> bool:
        seen.extend(tap.take())
        looks = collections.Counter(one.service for one in seen if one.connection.endswith("outbox relay"))
        enough = len(looks) == len(SERVICES_WITH_DATABASE) and min(looks.values()) >= PERIOD_LOOKS
        return enough and time.monotonic() - began >= IDLE_SECONDS

    eventually(known, within=60, what="two looks of every relay")
    return {one.key for one in seen if one.rows == 0}, len(seen) / (time.monotonic() - began)


def buy(buyer, variant: str, shelves: Shelves, tap: Tap, mails: int) -> None:
    placed = buyer.order([(variant, 1)])
    assert placed.status_code == 201, placed.text
    eventually(lambda: shelves.at_rest(mails) and tap.is_quiet(), what="paid, committed, mailed, and at rest")


def median_per(checkouts: list[Checkout], key) -> dict:
    """Of each kind the median over the checkouts: what comes by once in a while is in none of them."""
    each = [checkout.per(key) for checkout in checkouts]
    kinds = sorted({kind for one in each for kind in one})
    medians = {kind: statistics.median(one[kind] for one in each) for kind in kinds}
    return {kind: median for kind, median in medians.items() if median > 0}


def test_statements_of_a_checkout(stack, shop, staff, tap: Tap, shelves: Shelves, ceilings) -> None:
    variant = shop.stock_product(staff, stock=WARM_UP + CHECKOUTS)
    buyer = shop.sign_up()
    bought = 0
    for _ in range(WARM_UP):
        bought += 1
        buy(buyer, variant, shelves, tap, bought)
    idle, idle_rate = idle_statements(tap)
    checkouts = []
    for _ in range(CHECKOUTS):
        tap.take()
        bought += 1
        buy(buyer, variant, shelves, tap, bought)
        checkouts.append(Checkout(tap.take(), idle))
    failed = [one.text for checkout in checkouts for one in checkout.work if one.failed]
    assert not failed, failed
    assert_nothing_passes_by(tap, shelves)

    statements = median_per(checkouts, lambda one: (one.service, one.text))
    trips = median_per([waiting(checkout) for checkout in checkouts], lambda one: one.service)
    totals = {service: sum(count for (name, _), count in statements.items() if name == service) for service in SERVICES_WITH_DATABASE}
    shown = {service: by_text(statements, service) for service in totals}
    looks = statistics.median(len(checkout.looks) for checkout in checkouts)
    shown["all services"] = f"and {looks:g} looks of pollers that found nothing; at rest there are {idle_rate:.0f} a second"
    ceilings.judge("statements_per_checkout", {"all services": sum(totals.values())} | totals, shown.__getitem__)
    counted = {"all services": sum(trips.values())} | {service: trips.get(service, 0) for service in totals}
    ceilings.judge("round_trips_per_checkout", counted, lambda name: "" if name in shown else name)


def waiting(checkout: Checkout) -> Checkout:
    only = Checkout([], set())
    only.work = [one for one in checkout.work if one.waits]
    return only


def by_text(statements: dict, service: str) -> str:
    return "\n".join(f"{count:g} × {text[:170]}" for (name, text), count in statements.items() if name == service)


def assert_nothing_passes_by(tap: Tap, shelves: Shelves) -> None:
    """Every connection that a service has goes through the tap: what it does not see, it cannot count."""
    roles = ", ".join(f"'{service}'" for service in SERVICES_WITH_DATABASE)

    def agree() -> bool:
        query = f"SELECT json_object_agg(usename, n) FROM (SELECT usename, count(*) AS n FROM pg_stat_activity WHERE usename IN ({roles}) GROUP BY 1) AS per"
        return shelves.says("orders", query) == dict(tap.connections())

    eventually(agree, what=f"as many connections at the server as at the tap ({tap.connections()})")
