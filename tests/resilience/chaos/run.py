"""One run: a stack, its market, the load, the faults in their order, and what is looked at in the end."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import pathlib
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from tests.judge import CannotLook, audit, eventually_clean
from tests.resilience.chaos.buyers import PASSWORD, Buyer, Doors, Market, Shopper
from tests.resilience.chaos.errands import Errand
from tests.resilience.chaos.faults import Faults
from tests.resilience.chaos.load import Gate, Load
from tests.resilience.chaos.schedule import Bout, Fault
from tests.resilience.chaos.witness import Witness
from tests.shop import ADDRESS, SETTLED, Shop
from tests.type_id import uuid_of

if TYPE_CHECKING:
    from stack import Stack

T = TypeVar("T")
HEAL_SECONDS = 30.0
BUYERS, SHOPPERS, SCARCE, PLENTY = 48, 24, 8, 16
SCARCE_STOCK, PLENTY_STOCK = 12, 1_000_000
POLL_SECONDS = 0.05


@dataclasses.dataclass
class Healed:
    """What one bout did, and how long after its end an order was accepted and settled."""

    bout: Bout
    begin: float  # seconds since the load began
    seconds: float  # how long it held
    heal_seconds: float | None  # None: not within HEAL_SECONDS


@dataclasses.dataclass
class Outcome:
    healed: list[Healed]
    witness: Witness
    orders: int
    rest_seconds: float
    checked: dict[str, int]
    violations: list[str]
    database_deaths: int


def run(stack: Stack, bouts: list[Bout], seed: int, orders: int, per_second: float, folder: pathlib.Path, say: Any) -> Outcome:
    chaos = Chaos(stack, seed, orders, per_second)
    healed = chaos.faults_under_load(bouts, say)
    say(f"load over: {len(chaos.witness.promised)} orders accepted")
    rest_seconds, checked, violations = chaos.at_rest()
    say(f"at rest after {rest_seconds:.1f} s")
    violations = [
        *(f"liveness: not healed {HEAL_SECONDS:.0f} s after {', '.join(map(str, one.bout.faults))}"
          for one in healed if one.heal_seconds is None),
        *chaos.faults.violations, *chaos.load.failures, *chaos.witness.violations(chaos.faults.away), *violations,
    ]  # fmt: skip
    with open(folder / "faults.jsonl", "w") as file:
        for one in healed:
            print(json.dumps({**dataclasses.asdict(one), "faults": [str(fault) for fault in one.bout.faults]}), file=file)
    begun = chaos.gate.begun + chaos.gate.extra
    return Outcome(healed, chaos.witness, begun, rest_seconds, checked, violations, chaos.faults.database_deaths)


class Chaos:
    def __init__(self, stack: Stack, seed: int, orders: int, per_second: float) -> None:
        self.stack = stack
        self.witness = Witness()
        self.faults = Faults(stack)
        self.doors = Doors([stack.url("api-gateway", replica) for replica in (1, 2)])
        self.gate = Gate(orders, per_second)
        self.twins = concurrent.futures.ThreadPoolExecutor(SHOPPERS)
        market = self._market()
        self.prober = market.buyers.pop()
        self.load = Load(seed, self.gate, [Shopper(market) for _ in range(SHOPPERS)], SCARCE, lambda: self.faults.provider_repeats)
        self.variants = market.variants

    def _market(self) -> Market:
        shop = Shop(self.stack.url("api-gateway"), self.stack.url("mail-sink"))
        staff = patiently(shop.staff)
        stock = [SCARCE_STOCK] * SCARCE + [PLENTY_STOCK] * PLENTY
        variants = [patiently(lambda level=level: shop.stock_product(staff, stock=level)) for level in stock]
        people = [patiently(lambda: shop.sign_up(password=PASSWORD)) for _ in range(BUYERS + 1)]
        buyers = [Buyer(self.doors, self.witness, person.email, person.id) for person in people]
        clerk = Buyer(self.doors, self.witness, staff.email, staff.id, shop.demo_password)
        return Market(self.witness, buyers, clerk, variants, self.twins)

    def faults_under_load(self, bouts: list[Bout], say: Any) -> list[Healed]:
        """Every bout at its order, each after the one before has healed. Ends with the load."""
        healed = []
        began = time.monotonic()
        self.load.start()
        try:
            for number, bout in enumerate(bouts):
                self.gate.advance(bout.at_order)
                self.gate.open_to(bouts[number + 1].at_order if number + 1 < len(bouts) else self.gate.count)
                begin = time.monotonic()
                self._carry_out(bout)
                held = time.monotonic() - begin
                healed.append(Healed(bout, begin - began, held, self._heal()))
                self.faults.unasked_ends()
                heal = healed[-1].heal_seconds
                say(f"{self.gate.begun} orders: {', '.join(map(str, bout.faults))}; "
                    + (f"healed in {heal:.2f} s" if heal is not None else "NOT HEALED"))
            self.gate.advance(self.gate.count)
        finally:
            self.load.finish()
            self.twins.shutdown()
        return healed

    def _carry_out(self, bout: Bout) -> None:
        holding: list[tuple[float, Fault]] = []
        try:
            for fault in bout.faults:
                self.faults.begin(fault)
                holding.append((time.monotonic() + fault.seconds, fault))
            for until, _ in sorted(holding, key=lambda pair: pair[0]):
                time.sleep(max(0.0, until - time.monotonic()))
        finally:
            # Links first: a service that starts again finds what it needs.
            for _, fault in sorted(holding, key=lambda pair: (">" not in pair[1].target, pair[1].number)):
                self.faults.end(fault)

    def _heal(self) -> float | None:
        """Seconds until an order that is placed from now on has been accepted and settled."""
        begin = time.monotonic()
        probe = Errand(0, 0, ((SCARCE, 1),), "tok_ok", "once", "nothing", 0.0, f"probe-{uuid.uuid4()}")
        body = {
            "lines": [{"variant_id": self.variants[index], "quantity": count} for index, count in probe.lines],
            "currency": "EUR", "shipping_address": ADDRESS, "payment_method": {"token": probe.token},
        }  # fmt: skip
        order_id = None
        while time.monotonic() - begin < HEAL_SECONDS:
            if order_id is None:
                answer = self.prober.ask("order", "POST", "/api/v1/orders", body, probe.key)
                if answer is not None and answer.status_code == 201:
                    self.witness.promise(answer.json())
                    order_id = answer.json()["id"]
            else:
                answer = self.prober.ask("see order", "GET", f"/api/v1/orders/{order_id}")
                if answer is not None and answer.status_code == 200 and answer.json()["status"] in SETTLED:
                    return time.monotonic() - begin
            time.sleep(POLL_SECONDS)
        return None

    def at_rest(self) -> tuple[float, dict[str, int], list[str]]:
        """Polls until nothing is violated, for as long as the promise gives (30 s); how long that took, what the
        audit looked at, and what is violated then."""
        begin, checked = time.monotonic(), {}

        def look() -> list[str]:
            nonlocal checked
            try:
                report = audit(self.stack, self.witness.promised)
            except CannotLook as error:
                return [str(error)]
            checked = report.checked
            return report.lines() + not_ready(self.stack) + self._kept_promises()

        violations = eventually_clean(look, HEAL_SECONDS)
        return time.monotonic() - begin, checked, violations

    def _kept_promises(self) -> list[str]:
        """What else was answered 2xx is there once: refunds, cancellations, adjustments; and nobody's order changed."""
        with psycopg.connect(self.stack.dsn("orders")) as db:
            orders = {row[0]: row[1:] for row in db.execute("SELECT id::text, customer_id::text, total_minor, status FROM orders")}
        with psycopg.connect(self.stack.dsn("payments")) as db:
            refunds = {row[0] for row in db.execute("SELECT id::text FROM refunds")}
        with psycopg.connect(self.stack.dsn("products")) as db:
            query = "SELECT reason, count(*), sum(delta)::bigint FROM stock_movements WHERE kind = 'adjustment' GROUP BY 1"
            adjusted = {row[0]: row[1:] for row in db.execute(query)}
        found = [f"durability: refund {one} was answered 202 and is gone" for one in self.witness.refunds if uuid_of(one) not in refunds]
        for promise in self.witness.promised.values():
            stored = orders.get(uuid_of(promise.order_id))
            if stored and stored[:2] != (uuid_of(promise.customer), promise.total_minor):
                found.append(f"durability: {promise.order_id} is not the order that was answered")
        for order_id in self.witness.cancels:
            stored = orders.get(uuid_of(order_id))
            if stored is None or stored[2] not in ("cancelled", "payment_failed"):
                found.append(f"durability: the cancellation of {order_id} was answered 202, and it is {stored and stored[2]}")
        for reason, delta in self.witness.restocked.items():
            if adjusted.get(reason) != (1, delta):
                found.append(f"exactly-once: adjustment {reason!r} of {delta} was made as {adjusted.get(reason)} (times, sum)")
        return found


def patiently(prepare: Callable[[], T]) -> T:
    """A machine that is busy with its start may say 503 to somebody; what is prepared here is no part of the claim."""
    end = time.monotonic() + HEAL_SECONDS
    while True:
        try:
            return prepare()
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(POLL_SECONDS)


def not_ready(stack: Stack) -> list[str]:
    return [f"liveness: {name} {replica} is not ready" for (name, replica), part in stack.parts.items() if not part.ready()]
