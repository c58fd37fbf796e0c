"""Ends a service at one named point, drives it there from outside, lets it heal, and looks.

A service is restarted so that it ends at one named point (`_exit(137)`, as kill -9 would). What it
then does until it dies is driven by clients; afterwards it is started again, what was left without
an answer is asked again with the same key, every order must reach its end, and the audit must find
nothing. The list comes from the sources (tools/crash-points).
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import pathlib
import subprocess
import time
from collections.abc import Iterator

from tests.broker import EVENT, channel_of
from tests.judge import eventually_clean, violations
from tests.resilience.crash_scenario import Scenario
from tests.resilience.hostile.poison import envelope
from tests.shop import Shop, eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
KILLED_ITSELF = 137
REACH_SECONDS = 45.0
HEAL_SECONDS = 60.0
# Short leases, so that what a dead replica held is taken over soon, and the like.
QUICK = {
    "payment-service": {"STOA_LEASE_MS": "1000", "STOA_PROVIDER_TIMEOUT_MS": "500"},
    "order-service": {"STOA_CANCELLING_RETRY_SECONDS": "1"},
}
# What only an operator's command passes: visit_by_command has the command die there.
BY_COMMAND = ("payment.refund_by_hand.", "payment.void_refund.", "payment.repair.")
# Points of the kit are visited in each service that has the part.
SERVICES_OF_KIT = {
    "outbox": ["user-service", "product-service", "order-service", "payment-service"],
    "consumer": ["product-service", "order-service", "payment-service", "notification-service"],
}
# What cannot be done is told to order-service alone (tell_what_cannot_be_done).
ONLY_IN = {"consumer.before_reroute_confirm": ["order-service"]}
# Who repairs what was cut: the words of the proof page, by the longest beginning of a point's name.
HEALED_BY = {
    "order.reserve.": "the client's repeat with the same key finds the reservation; without it the sweep gives the stock back",
    "order.place.": "the client's repeat with the same key; an order that is stored goes on by its outbox",
    "order.abandon.": "the sweep of reservations without an order",
    "order.release.": "the sweep of reservations without an order",
    "order.cancel.": "the client's repeat; the request is in the outbox",
    "order.repeat_cancel.": "the next sweep of overdue orders",
    "order.apply.": "the broker delivers the fact again; the inbox knows what is done",
    "order.sweep.": "the next sweep, of this or another replica",
    "outbox.": "the relay publishes again what is still in the outbox; consumers know the event's id",
    "consumer.": "the broker delivers again what was not acknowledged; the inbox knows what is done",
    "product.reserve.": "the same reservation id is asked again, and finds itself",
    "product.release.": "the sweep of reservations without an order",
    "product.sweep.": "the next sweep, of this or another replica",
    "product.settle.": "the broker delivers the fact again; a settled reservation stays as it is",
    "product.import": "another worker takes the import over where its last step was committed; the client's repeat",
    "payment.open.": "the broker delivers order.placed again; one attempt an order",
    "payment.charge.": "the lease ends, and the provider is asked what became of the attempt's key",
    "payment.ask_charge.": "the lease ends, and the provider is asked again",
    "payment.void_charge.": "the lease ends, and the key is made void again",
    "payment.end": "the lease ends, and the provider is asked what became of the attempt's key",
    "payment.postpone": "the lease ends, and the provider is asked",
    "payment.close.": "the broker delivers the cancellation again; the inbox knows what is done",
    "payment.refund_request.": "the client's repeat with the same key",
    "payment.refund.": "the lease ends, and the provider is asked what became of the refund's key",
    "payment.ask_refund.": "the lease ends, and the provider is asked again",
    "payment.webhook": "the provider sends again; the lease's end asks without it",
    "payment.refund_by_hand.": "the command again; the refund's key is void at the provider",
    "payment.void_refund.": "the command again; the refund's key is void at the provider",
    "payment.repair.": "the command again; the refund's key follows from the capture's",
    "notification.accept.": "the broker delivers the fact again; one delivery a subject and kind",
    "notification.mail.": "the delivery's lease ends, and it is sent again with the same Message-ID",
    "notification.sent.": "the delivery's lease ends, and it is sent again with the same Message-ID",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Place:
    """A point, and the service that is to end there."""

    point: str
    service: str

    def __str__(self) -> str:
        return f"{self.point}@{self.service}"


@dataclasses.dataclass
class Visit:
    """What came of ending there."""

    places: list[Place]
    during: str  # what the clients were doing
    saw: collections.Counter  # answers to what changes something, and whatever else was no 200
    repeated: int  # keys that were asked again after the end
    ends: collections.Counter  # of the orders that were answered 201
    seconds: float  # from the end of the process until all of them had reached theirs


def points() -> list[str]:
    listing = subprocess.run([CHECKOUT / "tools/crash-points"], check=True, capture_output=True, text=True).stdout
    return [point["name"] for point in json.loads(listing)]


def services_of(point: str) -> list[str]:
    family = point.partition(".")[0]
    return ONLY_IN.get(point) or SERVICES_OF_KIT.get(family) or [f"{family}-service"]


def places() -> list[Place]:
    """Every point that serving passes, in every service that has it."""
    return [Place(point, service) for point in points() if not point.startswith(BY_COMMAND) for service in services_of(point)]


def healed_by(point: str) -> str:
    return HEALED_BY[max((start for start in HEALED_BY if point.startswith(start)), key=len)]


def visit(stack, shop: Shop, places: list[Place]) -> Visit:
    """Ends the services at these places: those of different services at once, those of one after another.

    Raises AssertionError for what is not reached, not healed in time, answered twice in two ways, or violated."""
    waiting: dict[str, list[str]] = {}
    for place in places:
        waiting.setdefault(place.service, []).append(place.point)
    names = " ".join(place.point for place in places)
    if "product.sweep." in names:
        leave_a_reservation_without_an_order(stack, shop)
    scenario = Scenario(stack, shop, names, list(waiting))
    for service, left in waiting.items():
        stack.restart(service, environment={"STOA_CRASH_AT": left[0]}, wait=False)
    try:
        with provoked(stack, scenario, names):
            died = end_all(stack, scenario, waiting, names)
    finally:
        for service in waiting:
            stack.restart(service)

    repeated = scenario.ask_again()
    ends = eventually(lambda: [scenario.all_settled()] if scenario.all_settled() is not None else None,
                      within=HEAL_SECONDS, what="every order settled")[0]
    eventually(scenario.refunds_are_done, within=HEAL_SECONDS, what="every refund done")
    seconds = time.monotonic() - died
    for order_id, told in scenario.orders.items():
        assert scenario.buyer.see_order(order_id)["number"] == told["number"]
    found = eventually_clean(lambda: violations(stack, told=scenario.orders))
    assert not found, "\n".join(found)
    return Visit(places, scenario.during, scenario.saw, repeated, ends, seconds)


def end_all(stack, scenario: Scenario, waiting: dict[str, list[str]], names: str) -> float:
    """Until every service in `waiting` has ended at each of its points and serves again; when the last one ended."""
    quiet = "product.sweep." in names or "order.repeat_cancel." in names
    end = time.monotonic() + REACH_SECONDS * sum(len(left) for left in waiting.values())
    died = 0.0
    while waiting:
        dead = [service for service in waiting if not stack.part(service).process.alive()]
        for service in dead:
            died = time.monotonic()
            code = stack.part(service).process.exit_code()
            assert code == KILLED_ITSELF, f"{service} ended with {code}:\n{stack.logs(service)}"
            waiting[service].pop(0)
            if waiting[service]:
                stack.restart(service, environment={"STOA_CRASH_AT": waiting[service][0]}, wait=False)
            else:
                del waiting[service]
                scenario.dying.remove(stack.part(service).process)
                stack.restart(service)
        assert time.monotonic() < end, f"no scenario reaches {waiting}"
        if waiting and not dead:
            if quiet:
                time.sleep(0.05)
            else:
                scenario.drive()
    return died


def leave_a_reservation_without_an_order(stack, shop: Shop) -> None:
    """order-service dies between reserving and storing; nobody asks again with that key."""
    scenario = Scenario(stack, shop, "", ["order-service"])
    stack.restart("order-service", environment={"STOA_CRASH_AT": "order.place.before_commit"})
    scenario.order("tok_ok")
    eventually(scenario.crashed, what="order-service ends before its commit")
    stack.restart("order-service")


@contextlib.contextmanager
def provoked(stack, scenario: Scenario, names: str) -> Iterator[None]:
    """What some points need besides clients."""
    if "order.repeat_cancel." in names:
        # payment-service says nothing, so that the request to cancel has to be told again.
        order_id = eventually(lambda: scenario.order("tok_ok"), what="an order, once the service is back")
        assert scenario.wait_for(order_id, "paid")
        stack.pause("payment-service")
        try:
            scenario.cancel(order_id)
            yield
        finally:
            stack.resume("payment-service")
    elif "consumer.before_reroute_confirm" in names:
        tell_what_cannot_be_done(stack)
        try:
            yield
        finally:
            if not scenario.dying:
                forget_what_cannot_be_done(stack)
    else:
        yield


def tell_what_cannot_be_done(stack) -> None:
    """A fact of a version that nobody knows: the consumer hands it on to the queues of those that come again."""
    event = envelope("payment.captured", id=f"evt_{'0' * 26}", type="payment.captured.v999")
    with channel_of(stack) as channel:
        channel.basic_publish("stoa.events", "payment.captured", json.dumps(event), EVENT)


def forget_what_cannot_be_done(stack) -> None:
    """Takes the fact, and the copy that the crash made of it, out of the queues of those that come again."""
    purged = []

    def gone() -> bool:
        with channel_of(stack) as channel:
            queues = (f"order-service.payment-results.{way}" for way in ("retry-500ms", "retry-2s", "retry-8s", "dead"))
            purged.append(sum(channel.queue_purge(queue).method.message_count for queue in queues))
        return sum(purged) > 0 and purged[-8:] == [0] * 8

    eventually(gone, within=30, what="the fact in the queues of those that come again")
