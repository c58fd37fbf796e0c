"""What operators do to a shop that is open: roll-outs, two versions at once, keys, restarts, failovers.

Two replicas of every service, PostgreSQL with a standby, a constant load (tests/steady.py). For each deed: the
requests that failed while it was done and until it was over, for how long, and the orders of that time that were
answered 201 and exist no more. Then the checker.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections.abc import Callable

import httpx
import psycopg
from stack import Stack
from stack.services import SERVICES

from tests.judge import eventually_clean
from tests.resilience import next_version
from tests.resilience.lost_time import Checker, reconcile
from tests.resilience.section import Order, Section
from tests.shop import Shop, eventually
from tests.steady import Asked, Bought, Steady, outage, quantile
from tests.type_id import uuid_of

TITLE = "deploys under load"

RATE = {"short": 30.0, "proof": 50.0, "long": 50.0}  # requests a second
VARIANTS = 12
STOCK = 1_000_000
CALM_REQUESTS = 60  # so many in a row without a failure end a deed
REST_SECONDS = 60.0  # for queues and sweeps to come to rest
RECOVERY_SECONDS = 60.0  # the goal: longer is a violation
OPEN_ORDERS_MAX = 10  # of a buyer; the next one is refused, and while the broker is away none is settled
# So many that nobody reaches that in the time that a recovery may take.
BUYERS = {"short": 24} | {size: int(RATE[size] * RECOVERY_SECONDS / OPEN_ORDERS_MAX) for size in ("proof", "long")}
BEHIND_SECONDS = 2.0  # how far the asynchronous standby is behind when the primary dies
CHANGED = ["order-service", "product-service"]  # those that have a next version (tests/cluster/next)
PLACED_MIN = 10  # orders of each version while both serve


@dataclasses.dataclass
class Deed:
    """One thing that was done, and what its time looked like from outside."""

    what: str
    asked: list[Asked]
    began: float
    ended: float
    free: bool  # no request may fail
    loses: bool  # orders may be lost (an asynchronous standby)
    lost: int = 0
    note: str = ""

    @property
    def failed(self) -> list[Asked]:
        return [one for one in self.asked if one.failed]

    def line(self) -> str:
        p99 = quantile([one.seconds for one in self.asked if not one.failed], 0.99)
        return (f"| {self.what} | {len(self.asked)} | {len(self.failed)} | {self.lost} | {outage(self.asked):.1f} "
                f"| {p99 * 1000:.0f} | {self.note} |")

    def wrong(self) -> list[str]:
        found = []
        if self.free and self.failed:
            answers = sorted({f"{one.kind}: {one.status} {one.detail}" for one in self.failed})
            found.append(f"{self.what}: {len(self.failed)} requests failed: {answers[:3]}")
        if self.lost and not self.loses:
            found.append(f"{self.what}: {self.lost} orders answered 201 are gone")
        if outage(self.asked) >= RECOVERY_SECONDS:
            found.append(f"{self.what}: requests failed for {outage(self.asked):.0f} s")
        return found


def calm(asked: list[Asked], since: float) -> bool:
    """Whether the last requests, all due since then, were answered as they should."""
    last = [one for one in asked if one.due >= since][-CALM_REQUESTS:]
    return len(last) == CALM_REQUESTS and not any(one.failed for one in last)


class Deploys:
    def __init__(self, order: Order, stack: Stack, shop: Shop, load: Steady) -> None:
        self.order, self.stack, self.shop, self.load = order, stack, shop, load
        self.deeds: list[Deed] = []
        self.violations: list[str] = []

    def do(self, what: str, act: Callable[[], str | None], free: bool = False, loses: bool = False) -> Deed:
        """Acts under load and waits until nothing of it is felt any more."""
        began = time.monotonic()
        note = act() or ""
        acted = time.monotonic()
        end = acted + RECOVERY_SECONDS
        while not calm(self.load.since(acted), acted) and time.monotonic() < end:
            time.sleep(0.05)
        deed = Deed(what, self.load.since(began), began, time.monotonic(), free, loses, note=note)
        if not calm(deed.asked, acted):
            self.violations.append(f"{what}: no calm within {RECOVERY_SECONDS:g} s")
        self.deeds.append(deed)
        self.order.say(f"{what}: {len(deed.failed)} of {len(deed.asked)} requests failed, {outage(deed.asked):.1f} s")
        for one in deed.failed if free else []:
            self.order.say(f"  {one.kind} after {one.seconds:.2f} s: {one.status} {one.detail}")
        return deed

    # ---- roll-outs ------------------------------------------------------------------------------------

    def replace(self, service: str, replica: int, program=None) -> float:
        """SIGTERM, wait for its end, start, wait until it is ready. Returns the seconds of its end."""
        began = time.monotonic()
        code = self.stack.stop(service, replica)
        took = time.monotonic() - began
        if code != 0:
            self.violations.append(f"{service} {replica} ended with {code} after SIGTERM ({took:.1f} s)")
        door = self.stack.url(service, replica)
        known = door in self.load.doors
        if known:
            self.load.doors.remove(door)
        self.stack.start(service, replica, program=program)
        if known:
            self.load.doors.append(door)
        return took

    def roll(self, services: list[str]) -> None:
        for service in services:
            self.do(f"rolling restart of {service}",
                    lambda service=service: f"ended in {max(self.replace(service, 1), self.replace(service, 2)):.1f} s", free=True)

    def placed_by(self) -> dict[str, int]:
        with psycopg.connect(self.stack.dsn("orders")) as db:
            return dict(db.execute("SELECT placed_by, count(*) FROM orders GROUP BY 1").fetchall())

    def versions(self) -> None:
        programs = next_version.build(CHANGED, self.order.folder / "next-version.log")

        def migrate() -> str:
            said = [self.schema(self.stack.run_command(service, "migrate", migrate=True, program=program))
                    for service, program in programs.items()]
            return "schema " + ", ".join(f"{one['schema']}" for one in said)

        def one_new_each() -> str:
            for service, program in programs.items():
                self.replace(service, 2, program)
            begun = self.placed_by()

            def both() -> bool:
                now = self.placed_by()
                return all(now.get(who, 0) - begun.get(who, 0) >= PLACED_MIN for who in ("before", "next"))

            eventually(both, within=60, what="both versions place orders")
            now = self.placed_by()
            return ", ".join(f"{now.get(who, 0) - begun.get(who, 0)} orders by {who}" for who in ("before", "next"))

        def rest_new() -> None:
            for service, program in programs.items():
                self.replace(service, 1, program)

        def back() -> str:
            said = [self.schema(self.stack.run_command(service, "migrate", migrate=True)) for service in CHANGED]
            if any(one["schema"] != one["needed"] + 1 for one in said):
                self.violations.append(f"the version before does not find the schema of the next one: {said}")
            for service in CHANGED:
                self.replace(service, 1)
                self.replace(service, 2)
            return "on the schema of the next one"

        self.do("a migration, the old version serves on it", migrate, free=True)
        self.do("old and new version side by side", one_new_each, free=True)
        self.do("the new version alone", rest_new, free=True)
        self.do("back to the old version", back, free=True)

    @staticmethod
    def schema(printed: str) -> dict:
        return next(line for line in map(json.loads, printed.splitlines()) if line["event"] == "migrated")

    # ---- keys -----------------------------------------------------------------------------------------

    def keys(self) -> None:
        """The ten minutes between publishing and signing are not waited for: the new key's row is made older."""

        def kids(replica: int) -> set[str]:
            return {key["kid"] for key in httpx.get(f"{self.stack.url('user-service', replica)}/.well-known/jwks.json").json()["keys"]}

        def rotate() -> str:
            before = kids(1)
            self.stack.run_command("user-service", "keys", "rotate")
            eventually(lambda: all(len(kids(replica)) == len(before) + 1 for replica in (1, 2)), within=40, what="the new key is published")
            [new] = kids(1) - before
            with psycopg.connect(self.stack.dsn("users", "postgres")) as db:
                db.execute("UPDATE signing_keys SET signs_from = now() WHERE kid = %s", (new,))

            def signed_by_the_new_key(replica: int) -> bool:
                url = f"{self.stack.url('user-service', replica)}/api/v1/auth/refresh"
                answer = httpx.post(url, json={"refresh_token": self.load.buyers[0].tokens["refresh_token"]})
                if answer.status_code != 200:
                    raise AssertionError(f"a refresh during the rotation: {answer.text}")
                self.load.buyers[0].tokens |= answer.json()
                self.load.sign_in_again(0, answer.json()["access_token"])
                return key_of(answer.json()["access_token"]) == new

            for replica in (1, 2):  # each reads the keys at its own time
                eventually(lambda replica=replica: signed_by_the_new_key(replica), within=40, what="the new key signs")
            # Half of the buyers go on with tokens of the old key, half have new ones.
            for number, buyer in enumerate(self.load.buyers[1 : len(self.load.buyers) // 2], 1):
                answer = self.shop.http.post("/api/v1/auth/refresh", json={"refresh_token": buyer.tokens["refresh_token"]})
                if answer.status_code != 200 or key_of(answer.json()["access_token"]) != new:
                    self.violations.append(f"a refresh after the rotation: {answer.status_code}")
                    continue
                self.load.sign_in_again(number, answer.json()["access_token"])
            return "half of the buyers with the old key's tokens"

        self.do("rotation of the signing key", rotate, free=True)

    # ---- PostgreSQL and RabbitMQ ----------------------------------------------------------------------

    def fail_over(self, to: int, how: Callable[[str, int], None]) -> str:
        """The moment of the decision is ours; what a watchdog needs to take it comes on top."""
        how("postgres", 3 - to)
        began = time.monotonic()
        self.stack.promote(to)
        promoted = time.monotonic() - began
        self.stack.kill("postgres", 3 - to)
        return f"promoted in {promoted:.1f} s"

    def fall_behind(self, standby: int) -> None:
        """The way between the two is cut; the primary goes on answering."""
        self.stack.sql(standby, "ALTER SYSTEM SET primary_conninfo = ''")
        self.stack.sql(standby, "SELECT pg_reload_conf()")
        cut = time.monotonic()
        self.load.wait_for_requests(int(self.load.rate * BEHIND_SECONDS), cut)

    def failovers(self, all_of_them: bool) -> None:
        self.stack.wait_for_standby(True)
        self.do("PostgreSQL killed, synchronous standby promoted", lambda: self.fail_over(2, self.stack.kill))
        if not all_of_them:
            return
        self.do("a standby made anew", lambda: self.stack.follow(1), free=True)
        self.stack.wait_for_standby(True)
        self.do("PostgreSQL silent (SIGSTOP), synchronous standby promoted", lambda: self.fail_over(1, self.stack.pause))
        self.stack.follow(2)
        self.stack.wait_for_standby(False)

        def behind_and_dead() -> str:
            self.fall_behind(2)
            return self.fail_over(2, self.stack.kill)

        self.do(f"PostgreSQL killed, asynchronous standby {BEHIND_SECONDS:g} s behind promoted", behind_and_dead, loses=True)

    # ---- the end --------------------------------------------------------------------------------------

    def judge(self) -> list[Bought]:
        """After the load has ended. Returns what is left of what was answered 201."""
        with psycopg.connect(self.stack.dsn("orders")) as db:
            ids = {str(uuid) for (uuid,) in db.execute("SELECT id FROM orders").fetchall()}
        accepted = self.load.accepted()
        left = [one for one in accepted if uuid_of(one.order_id) in ids]
        for deed in self.deeds:
            deed.lost = sum(1 for one in accepted if one not in left and deed.began <= one.answered_at < deed.ended)
        unexplained = len(accepted) - len(left) - sum(deed.lost for deed in self.deeds)
        if unexplained:
            self.violations.append(f"{unexplained} orders are gone that were answered between the deeds")
        self.violations += [text for deed in self.deeds for text in deed.wrong()]
        self.violations += [f"{one.key}: no answer within the buyer's patience" for one in self.load.given_up]
        self.violations += [f"{one.order_id}: one key, {len(one.bodies)} bodies" for one in accepted if len(one.bodies) > 1]
        return left

    def audit(self, left: list[Bought]) -> None:
        set_back = len(left) < len(self.load.accepted())
        if set_back:
            # What the guide of a failover that lost something says: captures that the survivor knows nothing of.
            printed = reconcile(self.stack, repair=True)
            self.order.say(f"reconcile: {printed.strip().splitlines()[-1]}")
        checker = Checker(self.stack, self.shop, [one.order_id for one in left], set_back)
        self.violations += eventually_clean(checker.violations, within=REST_SECONDS)


def key_of(token: str) -> str:
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def run(order: Order) -> Section:
    short = order.size == "short"
    with Stack(profile="proof", replicas=2, standby=True) as stack:
        order.say("the stack is up")
        shop = Shop(stack.url(), stack.url("mail-sink"))
        staff = shop.staff()
        variants = [shop.stock_product(staff, STOCK) for _ in range(VARIANTS)]
        buyers = [shop.sign_up() for _ in range(BUYERS[order.size])]
        doors = [stack.url("api-gateway", replica) for replica in (1, 2)]
        load = Steady(doors, buyers, variants, order.seed, RATE[order.size])
        deploys = Deploys(order, stack, shop, load)
        with load:
            load.wait_for_requests(CALM_REQUESTS, load.began)
            deploys.do("nothing", lambda: None, free=True)
            deploys.roll(SERVICES)
            if not short:
                deploys.versions()
                deploys.keys()
                deploys.do("RabbitMQ restarted", lambda: stack.restart("rabbitmq"), free=True)
                deploys.do("PostgreSQL restarted", lambda: stack.restart("postgres"))
            deploys.failovers(all_of_them=not short)
        left = deploys.judge()
        deploys.audit(left)
    return page(deploys)


def page(deploys: Deploys) -> Section:
    asked = deploys.load.asked
    return Section(
        figures={
            "requests": len(asked),
            "orders": len(deploys.load.accepted()),
            "deeds": len(deploys.deeds) - 1,
            "failed requests where none may": sum(len(deed.failed) for deed in deploys.deeds if deed.free),
            "lost orders where none may": sum(deed.lost for deed in deploys.deeds if not deed.loses),
        },
        lines=[
            f"{deploys.load.rate:g} requests a second by {len(deploys.load.buyers)} buyers, 4 of 10 an order; two replicas of every service.",
            "",
            "| what was done | requests | failed | lost orders | seconds from the first failure to the last | p99 ms | |",
            "|---|--:|--:|--:|--:|--:|---|",
            *(deed.line() for deed in deploys.deeds),
        ],
        violations=deploys.violations,
    )
