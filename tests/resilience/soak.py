"""What a shop that is used for long may hold on to: memory, descriptors, connections, rows.

Flat means: the median of the last quarter of the samples is at most a tenth (or a small constant, for what is small)
above that of the second quarter. The first quarter warms up: pools open, caches fill, allocators find their size.
Rows of a table count against the orders that were placed until then, so that what belongs to an order is no leak.
Pools grow with what the machine makes their callers wait, so descriptors and connections are no leak that go when
nobody asks any more.
"""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
import threading
import time
from collections.abc import Callable

import psycopg
from psycopg import sql
from stack import Stack
from stack.services import SERVICES, SERVICES_WITH_DATABASE

from tests.resilience.crowd import memory_of
from tests.shop import Shop
from tests.steady import Steady

SAMPLES = 120
TOKENS_LIVE_SECONDS = 240.0  # access tokens live at least ten minutes
GROWTH_SHARE = 0.1
GROWTH_CONSTANT = {"MiB": 4.0, "descriptors": 8.0, "connections": 8.0, "waiting": 50.0, "rows": 0.05}
GO_AT_REST = ("descriptors", "connections")
REST_SECONDS = 90.0  # idle connections end after 30
DETAIL_SHOWN = 5


@dataclasses.dataclass
class Sample:
    at: float  # seconds since the soak began
    held: dict[str, float]  # "MiB of order-service 1", "rows of orders.inbox an order", …


def holdings(stack: Stack) -> dict[str, float]:
    """Everything but rows."""
    held = {f"MiB of {name}": mib for name, mib in memory_of(stack).items()}
    for part in stack.parts.values():
        if part.name in SERVICES and part.process.pid:
            held[f"descriptors of {part.name} {part.replica}"] = sum(1 for _ in pathlib.Path(f"/proc/{part.process.pid}/fd").iterdir())
    with psycopg.connect(stack.dsn("orders", "postgres")) as db:
        for role, count, idle in db.execute(
            "SELECT usename, count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%%' AND state_change < now() - interval '5 s')"
            " FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename LIKE '%%-service' GROUP BY 1", ()):  # fmt: skip
            held[f"connections of {role}"] = count
            held[f"connections of {role} left in a transaction"] = idle
    for database in SERVICES_WITH_DATABASE.values():
        with psycopg.connect(stack.dsn(database)) as db:
            [held[f"waiting in the outbox of {database}"]] = db.execute("SELECT count(*) FROM outbox").fetchone()
    return held


def rows(stack: Stack) -> dict[str, float]:
    """Of each table, by the orders that there are."""
    counts: dict[str, int] = {}
    for database in SERVICES_WITH_DATABASE.values():
        with psycopg.connect(stack.dsn(database, "postgres")) as db:
            tables = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                [counts[f"{database}.{table}"]] = db.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    orders = max(1, counts["orders.orders"])
    return {f"rows of {name} an order": count / orders for name, count in counts.items() if name.partition(".")[2] != "outbox"}


def slope(points: list[tuple[float, float]]) -> float:
    """Least squares: units an hour from (seconds, units)."""
    if len(points) < 2:
        return 0.0
    return statistics.linear_regression([at / 3600 for at, _ in points], [value for _, value in points]).slope


@dataclasses.dataclass(frozen=True)
class Leak:
    name: str
    early: float
    late: float
    allowed: float  # no more than this is flat
    slope: float  # an hour

    @property
    def goes_at_rest(self) -> bool:
        return self.name.startswith(GO_AT_REST)

    def __str__(self) -> str:
        return f"{self.name}: {self.early:.2f}, later {self.late:.2f} ({self.slope:+.1f} an hour)"


def grown(samples: list[Sample]) -> list[Leak]:
    """What is not flat."""
    quarter = len(samples) // 4
    leaks = []
    for name in sorted({name for sample in samples[quarter:] for name in sample.held}):
        early, late = middle(samples[quarter : 2 * quarter], name), middle(samples[-quarter:], name)
        allowed = early + max(GROWTH_CONSTANT[name.split()[0]], early * GROWTH_SHARE)
        if late > allowed:
            leaks.append(Leak(name, early, late, allowed, slope(points(samples, name))))
    return leaks


def middle(samples: list[Sample], name: str) -> float:
    """The median of where it was counted; 0 of what was not there."""
    seen = [sample.held[name] for sample in samples if name in sample.held]
    return statistics.median(seen) if seen else 0.0


def points(samples: list[Sample], name: str) -> list[tuple[float, float]]:
    """Without the first quarter."""
    return [(sample.at, sample.held[name]) for sample in samples[len(samples) // 4 :] if name in sample.held]


def steepest(samples: list[Sample], unit: str) -> tuple[str, float]:
    """What of that unit grows fastest, and by how much an hour."""
    names = {name for sample in samples for name in sample.held if name.startswith(unit)}
    name = max(names, key=lambda name: slope(points(samples, name)))
    return name, slope(points(samples, name))


def refresh(shop: Shop, load: Steady) -> list[str]:
    """New access tokens for all buyers, before the old ones end. What was refused."""
    refused = []
    for number, buyer in enumerate(load.buyers):
        answer = shop.http.post("/api/v1/auth/refresh", json={"refresh_token": buyer.tokens["refresh_token"]})
        if answer.status_code != 200:
            refused.append(f"a refresh: {answer.status_code} {answer.text[:200]}")
            continue
        buyer.tokens |= answer.json()
        load.sign_in_again(number, answer.json()["access_token"])
    return refused


class Soak:
    def __init__(self, stack: Stack, shop: Shop, load: Steady, say: Callable[[str], None]) -> None:
        self._stack, self._shop, self._load, self._say = stack, shop, load, say
        self.samples: list[Sample] = []
        self.violations: list[str] = []
        self.leaks: list[Leak] = []

    def run(self, seconds: float) -> None:
        """Samples in even steps; the tables, which are read whole, eight times."""
        began = time.monotonic()
        refreshed = began
        steps = threading.Event()
        for number in range(SAMPLES):
            steps.wait(max(0.0, began + (number + 1) * seconds / SAMPLES - time.monotonic()))
            held = holdings(self._stack)
            if number % (SAMPLES // 8) == SAMPLES // 8 - 1:
                held |= rows(self._stack)
                self._say(f"soak: {(time.monotonic() - began) / 60:.1f} minutes, {sum(v for k, v in held.items() if k.startswith('MiB')):.0f} MiB")
            self.samples.append(Sample(time.monotonic() - began, held))
            if time.monotonic() > refreshed + TOKENS_LIVE_SECONDS:
                self.violations += refresh(self._shop, self._load)
                refreshed = time.monotonic()
        self.leaks = grown(self.samples)
        failed = [one for one in self._load.since(began) if one.failed]
        self.violations += [f"soak: {one.kind}: {one.status} {one.detail}" for one in failed[:DETAIL_SHOWN]]

    def at_rest(self) -> None:
        """After the load has ended: what goes now was no leak."""
        end = time.monotonic() + REST_SECONDS
        while True:
            held = holdings(self._stack)
            left = [leak for leak in self.leaks if not leak.goes_at_rest or held.get(leak.name, 0.0) > leak.allowed]
            if time.monotonic() > end or not any(leak.goes_at_rest for leak in left):
                break
            time.sleep(1.0)
        self.violations += [f"soak: {leak}" for leak in left]

    def lines(self) -> list[str]:
        """A table: of each kind what was held in the second quarter and in the last, and the steepest slope."""
        quarter = len(self.samples) // 4
        lines = ["| held | second quarter | last quarter | steepest of its kind, an hour |", "|---|--:|--:|---|"]
        for unit in ("MiB", "descriptors", "connections", "waiting"):
            def total(some: list[Sample], unit: str = unit) -> float:
                return statistics.median(sum(value for name, value in one.held.items() if name.startswith(unit)) for one in some)

            name, rise = steepest(self.samples, unit)
            lines.append(f"| {unit}, all together | {total(self.samples[quarter : 2 * quarter]):.1f} | {total(self.samples[-quarter:]):.1f} | {name}: {rise:+.2f} |")
        counted = [sample.held for sample in self.samples if any(name.startswith("rows") for name in sample.held)]
        for name in ("orders.inbox", "payments.inbox", "orders.idempotency_keys", "users.refresh_tokens"):
            key = f"rows of {name} an order"
            lines.append(f"| rows of `{name}` an order | {counted[1].get(key, 0):.2f} | {counted[-1].get(key, 0):.2f} | |")
        return lines
