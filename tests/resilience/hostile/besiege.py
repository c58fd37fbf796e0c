"""Sends every shape to every endpoint by every door, several at a time, and says what was wrong."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import json
import random
import time
from collections.abc import Callable, Iterable

from tests.resilience.hostile.endpoints import Endpoint
from tests.resilience.hostile.market import Market, Subject
from tests.resilience.hostile.shapes import Shape, door_is_shut, shapes
from tests.resilience.hostile.verdict import Judge
from tests.resilience.hostile.wire import Reply, exchange

PARALLEL = 6
ASKED_AGAIN = 3  # a 503 with Retry-After is an honest answer, and not the one looked for
GATEWAY = "api-gateway"


@dataclasses.dataclass
class Siege:
    requests: int = 0
    shapes: set[str] = dataclasses.field(default_factory=set)
    met: set[tuple[str, str]] = dataclasses.field(default_factory=set)  # (door, endpoint)
    answers: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # (family, class of status)
    faults: list[str] = dataclasses.field(default_factory=list)
    slowest: float = 0.0

    def add(self, other: Siege) -> None:
        self.requests += other.requests
        self.shapes |= other.shapes
        self.met |= other.met
        self.answers += other.answers
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)


def doors(endpoint: Endpoint) -> list[str]:
    """Each service looks again at what the gateway let through, so each is asked itself, too."""
    return sorted({GATEWAY, endpoint.service}) if endpoint.public else [endpoint.service]


def send(port: int, shape: Shape) -> Reply:
    for attempt in range(ASKED_AGAIN + 1):
        reply = exchange(port, shape.make())
        if reply.status != 503 or "retry-after" not in reply.answers[0].headers or attempt == ASKED_AGAIN:
            break
        time.sleep(float(reply.answers[0].headers["retry-after"]))
    return reply


def besiege_one(market: Market, judge: Judge, endpoint: Endpoint, door: str, chosen: Callable[[Iterable[Shape]], Iterable[Shape]]) -> Siege:
    subject, siege, port = Subject(market, endpoint), Siege(met={(door, str(endpoint))}), market.stack.part(door).port
    for shape in chosen(shapes(subject)):
        reply = send(port, shape)
        siege.requests += 1
        siege.shapes.add(shape.name)
        siege.answers[shape.family, reply.status] += 1
        siege.slowest = max(siege.slowest, reply.seconds)
        siege.faults += [f"{endpoint} at {door}, {shape.name}: {fault}" for fault in judge.faults(endpoint, shape, reply)]
        if endpoint.path == "/api/v1/orders" and endpoint.method == "POST" and reply.status == 201:
            market.tell(json.loads(reply.answers[0].body)["id"])
        subject.refresh(reply.status)
    if not endpoint.public:
        shape = door_is_shut(endpoint, subject)
        reply = send(market.stack.part(GATEWAY).port, shape)
        siege.requests += 1
        siege.faults += [f"{endpoint} at {GATEWAY}, {shape.name}: {fault}" for fault in judge.faults(endpoint, shape, reply)]
    return siege


def besiege(
    market: Market, endpoints: list[Endpoint], seed: int, every_door: bool, chosen: Callable[[Iterable[Shape]], Iterable[Shape]] = list
) -> Siege:
    """Without `every_door` each endpoint by one of its doors, which the seed chooses."""
    chance, judge = random.Random(seed), Judge()
    work = [(endpoint, door) for endpoint in endpoints for door in (doors(endpoint) if every_door else [chance.choice(doors(endpoint))])]
    chance.shuffle(work)
    siege = Siege()
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for done in pool.map(lambda one: besiege_one(market, judge, *one, chosen), work):
            siege.add(done)
    return siege
