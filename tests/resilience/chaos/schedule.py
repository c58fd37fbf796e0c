"""Which fault comes when: a pure function of the seed.

"When" is a number of orders, not a time: a fault begins when that many have been begun, so that a slow
machine has every fault inside its load, and so does a fast one (the load waits for the faults).
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from stack.services import SERVICES

SERVERS = ("postgres", "rabbitmq", "redis")
PROCESS_KINDS = ("kill", "stop", "restart", "pause", "slow")
LINK_KINDS = ("latency", "reset", "bandwidth", "silence", "cut")
BOTH = (1, 2)

# Callers and what they reach, as patterns of tools/stack's links: one caller alone, then all.
LINKS = {
    "postgres": ("order-service-1", "product-service-*", "payment-service-2", "user-service-*", "*"),
    "rabbitmq": ("order-service-*", "product-service-1", "payment-service-*", "notification-service-2", "*"),
    "redis": ("api-gateway-1", "product-service-*", "*"),
    "payment-simulator": ("payment-service-1", "*"),
    "mail-sink-smtp": ("notification-service-1", "*"),
    "product-service": ("order-service-*", "api-gateway-1"),
    "order-service": ("product-service-*", "api-gateway-*"),
    "payment-service": ("order-service-*", "api-gateway-2"),
    "user-service": ("*",),
    "api-gateway": ("payment-simulator-*",),
}
SHORT_SECONDS = (0.3, 2.5)
# Past the heartbeat (5 s), the pending deadline (10 s) and the breakers of the proof profile.
LONG_SECONDS = (8.0, 13.0)
PAIR_SHARE = 0.45
CLOCK_SECONDS = (300, -300)


@dataclasses.dataclass(frozen=True)
class Fault:
    number: int
    kind: str
    target: str  # a part, or "CALLER>CALLEE" with patterns
    replicas: tuple[int, ...]
    seconds: float
    amounts: tuple[tuple[str, int], ...] = ()  # of the kind: milliseconds, KB/s, seconds of a clock

    def __str__(self) -> str:
        replicas = "" if self.replicas == (1,) and self.target not in SERVICES else f" {'+'.join(map(str, self.replicas))}"
        amounts = "".join(f" {name}={amount}" for name, amount in self.amounts)
        return f"{self.kind} {self.target}{replicas}{amounts} for {self.seconds:.1f} s"


@dataclasses.dataclass(frozen=True)
class Bout:
    """Faults that hold at the same time, begun when `at_order` orders have been begun."""

    at_order: int
    faults: tuple[Fault, ...]


def every_fault(chance: random.Random, long_share: float) -> list[Fault]:
    """Each kind on each target once; what is left open (replica, amounts, seconds) is drawn."""
    return [dataclasses.replace(fault, seconds=round(_seconds(chance, fault, long_share), 2)) for fault in _every(chance)]


def _every(chance: random.Random) -> Iterator[Fault]:
    for service in SERVICES:
        for kind in PROCESS_KINDS:
            for replicas in ((chance.choice(BOTH),), BOTH):
                yield Fault(0, kind, service, replicas, 0)
        for shift in CLOCK_SECONDS:
            yield Fault(0, "clock", service, chance.choice([(1,), (2,), BOTH]), 0, (("offset_seconds", shift),))
    for server in SERVERS:
        for kind in PROCESS_KINDS:
            yield Fault(0, kind, server, (1,), 0)
    for kind in ("kill", "stop", "pause", "webhooks"):
        yield Fault(0, kind, "payment-simulator", (1,), 0)
    for kind in ("kill", "pause"):
        yield Fault(0, kind, "mail-sink", (1,), 0)
    for leave_kilobytes in (0, 64, 2048):
        yield Fault(0, "disk_full", "postgres", (1,), 0, (("leave_kilobytes", leave_kilobytes),))
    for callee, callers in LINKS.items():
        for caller in callers:
            for kind in LINK_KINDS:
                yield Fault(0, kind, f"{caller}>{callee}-*", (), 0, _amounts(chance, kind))


def _amounts(chance: random.Random, kind: str) -> tuple[tuple[str, int], ...]:
    if kind == "latency":
        latency = chance.choice([20, 100, 400, 1500])
        return (("latency", latency), ("jitter", latency // 4))
    if kind == "bandwidth":
        return (("rate", chance.choice([1, 8, 40])),)
    if kind == "reset":
        return (("timeout", chance.choice([0, 20, 200])),)
    return ()


def _seconds(chance: random.Random, fault: Fault, long_share: float) -> float:
    if fault.kind == "restart":
        return 0.0
    if fault.kind == "clock":
        return chance.uniform(1.0, 3.0)
    return chance.uniform(*(LONG_SECONDS if chance.random() < long_share else SHORT_SECONDS))


def _apart(one: Fault, other: Fault) -> bool:
    """Whether two faults can hold at once: not on one part, and not on links that one pattern may share."""
    if ">" in one.target and ">" in other.target:
        return one.target.partition(">")[2] != other.target.partition(">")[2]
    return one.target != other.target


def schedule(seed: int, faults: int, orders: int, long_share: float) -> list[Bout]:
    """`faults` of them, spread evenly over `orders`; every kind on every target once before any comes again."""
    chance = random.Random(f"chaos schedule {seed}")
    drawn: list[Fault] = []
    while len(drawn) < faults:
        one_of_each = every_fault(chance, long_share)
        chance.shuffle(one_of_each)
        drawn += one_of_each
    drawn = _kinds_first(drawn) if faults < len(one_of_each) else drawn
    drawn = [dataclasses.replace(fault, number=number) for number, fault in enumerate(drawn[:faults], 1)]
    groups: list[tuple[Fault, ...]] = []
    while drawn:
        pair = len(drawn) > 1 and chance.random() < PAIR_SHARE and _apart(drawn[0], drawn[1])
        groups.append(tuple(drawn[: 2 if pair else 1]))
        del drawn[: len(groups[-1])]
    # The first begins when the load is under way, the last while there still is some.
    return [Bout(orders * (number + 1) // (len(groups) + 2), group) for number, group in enumerate(groups)]


def _kinds_first(faults: list[Fault]) -> list[Fault]:
    """In a short run every kind comes once, before any comes again."""
    first: dict[str, Fault] = {}
    for fault in faults:
        first.setdefault(fault.kind, fault)
    chosen = set(map(id, first.values()))
    return list(first.values()) + [fault for fault in faults if id(fault) not in chosen]
