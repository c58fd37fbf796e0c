"""Ten times what the shop can do, and parts that are slow, silent or broken; in `make prove-long` an hour of use.

Two replicas of every service, of the build that ships. A witness (tests/steady.py) asks at a small, constant rate all
the time and writes every answer down. The crowd is compared with the same shop at capacity in the same run: a few
customers who ask again as soon as they are answered. It meets a shop without the links that the slow and silent parts
need: they would be the slowest part of all.

STOA_SOAK_SECONDS soaks so long in any size: `STOA_SOAK_SECONDS=300 tests/resilience/prove --only overload`.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator

import psycopg
from stack import Stack

from tests.judge import eventually_clean, violations
from tests.resilience.crowd import DOORS, Crowd, Market, Watch, backlog_of
from tests.resilience.section import Order, Section, keeping_logs
from tests.resilience.soak import Soak
from tests.shop import Shop
from tests.steady import Asked, Steady, quantile

TITLE = "overload and slow parts"


@dataclasses.dataclass(frozen=True)
class Size:
    capacity_seconds: int
    crowd_seconds: int
    hurt_seconds: float
    harms: tuple[str, ...]
    customers: int  # tokens of the crowd; each may have ten open orders
    preset: str  # whose binaries
    p99_factor_max: float  # against capacity; short runs have few orders, and share their machine with others
    offered_factor_min: float  # less and the run has shown nothing
    soak_seconds: float = 0.0


HARMS = ("postgres", "provider", "consumer")
PROOF = Size(
    capacity_seconds=15, crowd_seconds=60, hurt_seconds=20, harms=HARMS, customers=150, preset="release", p99_factor_max=2.0, offered_factor_min=9.0
)
SIZES = {
    "short": Size(
        capacity_seconds=3, crowd_seconds=8, hurt_seconds=3, harms=("provider",), customers=50, preset="debug", p99_factor_max=4.0, offered_factor_min=3.0
    ),
    "proof": PROOF,
    "long": dataclasses.replace(PROOF, soak_seconds=3600),
}
FACTOR = 10
AT_CAPACITY = 32  # customers at once: more make nothing quicker
CROWD = 1_000
WARM_SECONDS = 2
WITNESSES = 30  # buyers of the witness
WITNESS_RATE, SOAK_RATE = 10.0, 30.0  # requests a second
VARIANTS = 20
STOCK = 10_000_000
OPEN_ORDERS_MAX = 10  # a buyer
SLOW_MS = 150  # each way, between every service and PostgreSQL
SERVED_SHARE_MIN = 0.25  # of capacity: refusing costs something too, and both share the machine
MEMORY_GROWTH_MAX_MIB = 96.0  # of one process of a service
CALM_REQUESTS = 20  # so many in a row without a failure end a deed
RECOVERY_SECONDS = 30.0
REST_SECONDS = 60.0
DETAIL_SHOWN = 5


def refused_badly(asked: list[Asked]) -> list[str]:
    """Answers that an overloaded or hurt shop may not give: all but the wanted, and 429 or 503 with Retry-After."""
    bad = [one for one in asked if one.failed and not (one.status in (429, 503) and one.retry_after)]
    return [f"{one.kind} after {one.seconds:.1f} s: {one.status} {one.detail}" for one in bad]


@dataclasses.dataclass(frozen=True)
class Capacity:
    """The same shop with as many customers as it can serve, before and after the crowd: a machine that others use too
    is not the same all the time, so the crowd is compared with what favours it."""

    before: Crowd
    after: Crowd

    @property
    def accepted(self) -> float:
        return min(self.before.accepted, self.after.accepted)

    @property
    def p99(self) -> float:
        return max(self.before.ms(0.99), self.after.ms(0.99))


def judge_crowd(size: Size, full: Capacity, crowd: Crowd) -> list[str]:
    found = [*full.before.wrong(), *crowd.wrong(), *full.after.wrong()]
    if not full.accepted:
        return [*found, "nothing was accepted at capacity"]
    if crowd.offered < size.offered_factor_min * full.before.accepted:
        found.append(f"only {crowd.offered / full.before.accepted:.1f} times the capacity was asked: the run shows nothing")
    if crowd.accepted < SERVED_SHARE_MIN * full.accepted:
        found.append(f"collapse: {crowd.accepted:.0f} orders/s of {full.accepted:.0f}")
    if crowd.ms(0.99) > size.p99_factor_max * full.p99:
        found.append(f"p99 of what was accepted: {crowd.ms(0.99):.0f} ms under the crowd, {full.p99:.0f} ms at capacity")
    return found


class Overload:
    def __init__(self, order: Order) -> None:
        self.order, self.size = order, SIZES[order.size]
        self.rows: list[str] = []
        self.soaked: list[str] = []
        self.violations: list[str] = []
        self.figures: dict[str, str | int | float] = {}
        self.ends: collections.Counter[str] = collections.Counter()
        self.ceilings = ""

    @contextlib.contextmanager
    def shop(self, linked: bool) -> Iterator[Shop]:
        """A shop of its own, with a witness; what it answered is judged at its end."""
        folder = self.order.folder / ("linked" if linked else "plain")
        folder.mkdir()
        with Stack(profile="proof", replicas=2, preset=self.size.preset, linked=linked) as self.stack:
            shop = Shop(self.stack.url(), self.stack.url("mail-sink"))
            staff = shop.staff()
            variants = [shop.stock_product(staff, STOCK) for _ in range(VARIANTS)]
            customers = [shop.sign_up().tokens["access_token"] for _ in range(self.size.customers)]
            witnesses = [shop.sign_up() for _ in range(WITNESSES)]
            self.market = Market(self.stack, folder / "tokens", folder / "variants", self.order.seed)
            self.market.tokens.write_text("\n".join(customers) + "\n")
            self.market.variants.write_text("\n".join(variants) + "\n")
            self.told = 0  # orders of the crowd that were answered 201
            self.order.say("the shop is open" + (", every part behind a link" if linked else ""))
            doors = [self.stack.url("api-gateway", replica) for replica in DOORS]
            with keeping_logs(self.stack, folder):
                with Steady(doors, witnesses, variants, self.order.seed, WITNESS_RATE) as self.witness:
                    yield shop
                self.judge()

    def recovered(self, what: str, since: float) -> float:
        """Seconds until the first of a row of requests that are answered as if nothing had been."""
        while time.monotonic() < since + RECOVERY_SECONDS:
            last = self.witness.since(since)[-CALM_REQUESTS:]
            if len(last) == CALM_REQUESTS and not any(one.failed for one in last):
                return max(0.0, last[0].due - since)
            time.sleep(0.05)
        self.violations.append(f"{what}: no calm within {RECOVERY_SECONDS:g} s")
        return RECOVERY_SECONDS

    def settle(self, what: str) -> float:
        """Until nothing waits but what the witness has just asked for."""
        began = time.monotonic()
        while True:
            left = {name: count for name, count in backlog_of(self.stack).items() if count > 2 * WITNESS_RATE and name != "dead letters"}
            if not left or time.monotonic() > began + REST_SECONDS:
                break
            time.sleep(0.1)
        if left:
            self.violations.append(f"{what}: {left} still wait after {REST_SECONDS:g} s")
        return time.monotonic() - began

    def held(self, what: str, watch: Watch) -> str:
        """Judges the ceilings and describes them."""
        name, mib = watch.growth()
        if mib > MEMORY_GROWTH_MAX_MIB:
            self.violations.append(f"{what}: {name} grew by {mib:.0f} MiB")
        open_most = OPEN_ORDERS_MAX * (self.size.customers + WITNESSES)
        if watch.backlog.get("open orders", 0) > open_most:
            self.violations.append(f"{what}: {watch.backlog['open orders']} open orders, {open_most} may be")
        waiting = ", ".join(f"{count} {name}" for name, count in watch.backlog.items()) or f"not seen ({watch.blind})"
        servers = ", ".join(f"{part} {watch.memory[f'{part} 1']:.0f}" for part in Watch.SERVERS)
        return f"{name} {watch.before[name]:.0f} → {watch.memory[name]:.0f} MiB; {servers} MiB; at most {waiting}"

    # ---- ten times too much ---------------------------------------------------------------------------

    def at_capacity(self, name: str) -> Crowd:
        full = self.market.crowd(name, AT_CAPACITY, self.size.capacity_seconds)
        self.settle(f"at capacity {name} the crowd")
        self.order.say(f"capacity {name}: {full.accepted:.0f} orders/s, p99 {full.ms(0.99):.0f} ms, {dict(full.by_status)}")
        self.row(f"at capacity, {name}", full, "", "")
        return full

    def crowd(self) -> None:
        self.market.crowd("warm", AT_CAPACITY, WARM_SECONDS)
        before = self.at_capacity("before")
        began = time.monotonic()
        with Watch(self.stack) as watch:
            crowd = self.market.crowd("crowd", CROWD, self.size.crowd_seconds, FACTOR * max(1.0, before.accepted))
        ended = time.monotonic()
        self.order.say(f"crowd: {crowd.offered:.0f} asked a second, {dict(crowd.by_status)}, p99 {crowd.ms(0.99):.0f} ms")
        recovery = self.recovered("the crowd", ended)
        held, rest = self.held("the crowd", watch), self.settle("the crowd")
        self.ceilings = ", ".join(f"{name} {mib:.0f}" for name, mib in sorted(watch.memory.items()))
        self.row(f"{CROWD:,} customers", crowd, f"{recovery:.1f}", f"{held}; settled after {rest:.1f} s")
        full = Capacity(before, self.at_capacity("after"))
        self.violations += judge_crowd(self.size, full, crowd)
        self.violations += [f"beside the crowd, {text}" for text in refused_badly(self.witness.since(began, ended))[:DETAIL_SHOWN]]
        self.told += sum(one.by_status[201] for one in (before, crowd, full.after))
        self.figures |= {
            "orders/s at capacity": round(before.accepted),
            "times as many asked": round(crowd.offered / max(1.0, before.accepted), 1),
            "of them refused": f"{crowd.refused_share:.0%}",
            "times the p99": round(crowd.ms(0.99) / max(1.0, full.p99), 2),
            "s to calm": round(recovery, 1),
        }

    def row(self, what: str, crowd: Crowd, calm: str, notes: str) -> None:
        self.rows.append(f"| {what}, {crowd.seconds:.0f} s | {crowd.offered:.0f} | {crowd.accepted:.0f} | {crowd.ms(0.5):.0f} / {crowd.ms(0.99):.0f} "
                         f"| {crowd.refused_share:.0%} | {calm} | {notes} |")  # fmt: skip

    # ---- slow, silent and broken parts ----------------------------------------------------------------

    @contextlib.contextmanager
    def slow_postgres(self) -> Iterator[None]:
        assert self.stack.links
        with self.stack.links.hurting("*>postgres-1", "latency", latency=SLOW_MS, jitter=SLOW_MS // 2):
            yield

    @contextlib.contextmanager
    def silent_provider(self) -> Iterator[None]:
        self.stack.pause("payment-simulator")
        try:
            yield
        finally:
            self.stack.resume("payment-simulator")

    @contextlib.contextmanager
    def failing_consumer(self) -> Iterator[None]:
        """Every fact that wants a mail meets a table that refuses it. What waits to be sent is not hurt: a sender that cannot
        write down what it has handed over may repeat it, and that is another promise."""
        with psycopg.connect(self.stack.dsn("notifications", "postgres"), autocommit=True) as db:
            db.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE check_violation; END$$")
            db.execute("CREATE TRIGGER planted BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION refuse()")
            try:
                yield
            finally:
                db.execute("DROP FUNCTION refuse() CASCADE")

    def hurt(self, harm: str) -> None:
        what, act = {
            "postgres": (f"PostgreSQL {2 * SLOW_MS} ms away", self.slow_postgres),
            "provider": ("the provider says nothing", self.silent_provider),
            "consumer": ("a consumer fails at every message", self.failing_consumer),
        }[harm]
        began = time.monotonic()
        with Watch(self.stack) as watch, act():
            self.witness.wait_for_requests(int(WITNESS_RATE * self.size.hurt_seconds), began, within=self.size.hurt_seconds + RECOVERY_SECONDS)
        ended = time.monotonic()
        if harm == "consumer":
            self.redrive()
        recovery = self.recovered(what, ended)
        asked = self.witness.since(began, ended)
        served = sorted(one.seconds * 1000 for one in asked if not one.failed)
        self.violations += [f"{what}: {text}" for text in refused_badly(asked)[:DETAIL_SHOWN]]
        if not served:
            self.violations.append(f"{what}: nothing was answered")
        refused = 1 - len(served) / len(asked)
        held = self.held(what, watch)
        rest = self.settle(what)
        self.order.say(f"{what}: {refused:.0%} of {len(asked)} refused, calm after {recovery:.1f} s")
        self.rows.append(f"| {what}, {ended - began:.0f} s | {WITNESS_RATE:g} | {len(served) / (ended - began):.0f} | {quantile(served, 0.5):.0f} / "
                         f"{quantile(served, 0.99):.0f} | {refused:.0%} | {recovery:.1f} | {held}; settled after {rest:.1f} s |")  # fmt: skip

    def redrive(self) -> None:
        """The consumer is well again: what it gave up goes back, by the operator's command."""
        moved, end = 0, time.monotonic() + REST_SECONDS
        while (backlog := backlog_of(self.stack))["dead letters"] or backlog["messages in queues"] > WITNESS_RATE:
            if time.monotonic() > end:
                self.violations.append(f"what the failing consumer gave up does not go away: {backlog}")
                break
            printed = self.stack.run_command("notification-service", "redrive")
            moved += sum(int(line.split()[0]) for line in printed.splitlines() if " messages back in " in line)
            time.sleep(0.2)
        if not moved:
            self.violations.append("the consumer that fails always gave no message up: nothing was planted")
        self.order.say(f"{moved} dead letters went back")

    # ---- the end --------------------------------------------------------------------------------------

    def judge(self) -> None:
        """After the witness has ended."""
        accepted = self.witness.accepted()
        self.violations += [f"{one.key}: no answer within the buyer's patience" for one in self.witness.given_up]
        self.violations += [f"{one.order_id}: one key, {len(one.bodies)} bodies" for one in accepted if len(one.bodies) > 1]
        self.violations += eventually_clean(lambda: violations(self.stack, [one.order_id for one in accepted]), REST_SECONDS)
        with psycopg.connect(self.stack.dsn("orders")) as db:
            ends = collections.Counter(dict(db.execute("SELECT status, count(*) FROM orders GROUP BY 1").fetchall()))
        if ends.total() < self.told + len(accepted):
            self.violations.append(f"{self.told + len(accepted)} orders were answered 201, {ends.total()} are there")
        self.ends += ends

    # ---- an hour of use -------------------------------------------------------------------------------

    def soak(self, shop: Shop, seconds: float) -> None:
        """At a rate that the shop bears with ease."""
        before = self.witness
        with Steady(before.doors, before.buyers, before.variants, before.seed + 1, SOAK_RATE) as usual:
            run = Soak(self.stack, shop, usual, self.order.say)
            run.run(seconds)
        run.at_rest()
        self.violations += run.violations
        before.bought += usual.bought
        before.given_up += usual.given_up
        self.figures["minutes of soak"] = round(seconds / 60)
        self.soaked = ["", f"Soak: {seconds / 60:.0f} minutes at {SOAK_RATE:g} requests/s, {len(usual.accepted()):,} orders.", "", *run.lines()]


def soak_seconds(size: Size) -> float:
    return float(os.environ.get("STOA_SOAK_SECONDS", size.soak_seconds))


def run(order: Order) -> Section:
    overload = Overload(order)
    with overload.shop(linked=False) as shop:
        overload.crowd()
        if seconds := soak_seconds(overload.size):
            overload.witness.stop()
            overload.soak(shop, seconds)
    with overload.shop(linked=True):
        for harm in overload.size.harms:
            overload.hurt(harm)
    orders = overload.ends.total()
    return Section(
        figures=overload.figures | {"orders": orders, "of them paid": f"{overload.ends['paid'] / orders:.1%}"},
        lines=[
            f"The build that ships (`{overload.size.preset}`). Times are those of orders that were accepted ({FACTOR} times: by wrk, which shares the"
            " machine with the shop and goes first; else by the witness, reads included). Refused: 503 or 429, each with Retry-After. Memory: the"
            " service's process that grew most, and the ceiling of each server.",
            "",
            "| | asked/s | accepted/s | ms p50 / p99 | refused | s to calm | held |",
            "|---|--:|--:|--:|--:|--:|---|",
            *overload.rows,
            "",
            f"Memory at most while the crowd was there, MiB: {overload.ceilings}.",
            *overload.soaked,
        ],
        violations=overload.violations,
    )
