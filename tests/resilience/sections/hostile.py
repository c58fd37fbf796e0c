"""Hostile input: every shape to every endpoint, poison in every queue, clients that trickle, and the parsers fuzzed."""

from __future__ import annotations

import concurrent.futures
import socket
import statistics
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import httpx
import psycopg

from stack import Stack
from tests.fuzz import fuzzing
from tests.judge import eventually_clean, violations
from tests.resilience.hostile import health, poison, slow
from tests.resilience.hostile.besiege import Siege, besiege
from tests.resilience.hostile.endpoints import endpoints
from tests.resilience.hostile.market import Market
from tests.resilience.hostile.shapes import Shape
from tests.resilience.section import Order, Section, keeping_logs
from tests.shop import eventually

TITLE = "hostile input"
FUZZ_SECONDS = {"short": 0, "proof": 60, "long": 600}  # a target; in `make test` it is the suite tests/fuzz
# Not within a minute: floods of 64 MiB through PostgreSQL, and every value at every place of a body and of a query.
SHORT_WITHOUT = ("BodyWithoutEnd",)
SHORT_FAMILIES, SHORT_SHARE = ("body", "query"), 3  # of these one in three, which the seed chooses
EVIL = "evil@evil.test"
GUESSES = 30
TELLING_RATIO = 2.0  # an answer without the work of a hash comes 10 times sooner


def chosen_for(order: Order) -> Callable[[Iterable[Shape]], Iterable[Shape]]:
    def in_short(shape: Shape) -> bool:
        share = SHORT_SHARE if shape.family in SHORT_FAMILIES else 1
        return shape.name not in SHORT_WITHOUT and zlib.crc32(f"{order.seed} {shape.name}".encode()) % share == 0

    return (lambda shapes: filter(in_short, shapes)) if order.size == "short" else iter


@contextmanager
def canary() -> Iterator[socket.socket]:
    """Somebody whom no service has a reason to call, whatever address it is given."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        listening.setblocking(False)
        yield listening


def lure(market: Market, port: int) -> None:
    """Its address wherever an address fits."""
    url = f"http://127.0.0.1:{port}/image.png"
    price = {"amount": 100, "currency": "EUR"}
    body = {"name": "Lure", "image_url": url, "variants": [{"sku": f"L-{uuid.uuid4().hex}", "prices": [price]}]}
    assert market.staff.http.post("/api/v1/products", json=body).status_code == 201
    headers = {"host": f"127.0.0.1:{port}", "x-forwarded-host": f"127.0.0.1:{port}", "forwarded": f"host=127.0.0.1:{port}", "referer": url}
    httpx.get(f"{market.stack.url('api-gateway')}/api/v1/products", headers=headers)
    csv = f"Handle,Title,Variant SKU,Variant Price,Image Src\nlure,Lure,LURE-1,1.00,{url}\n".encode()
    market.staff.http.post("/api/v1/imports?currency=EUR", content=csv, headers={"content-type": "text/csv", "idempotency-key": str(uuid.uuid4())})


def was_called(listening: socket.socket) -> list[str]:
    try:
        listening.accept()
    except BlockingIOError:
        return []
    return ["a service called an address that a client gave it"]


def timing(market: Market) -> tuple[float, float]:
    """Median milliseconds of a refused login: of somebody who has an account, and of nobody."""
    known, unknown = [], []
    for _ in range(GUESSES):
        person = market.shop.sign_up()
        for seconds, email in ((known, person.email), (unknown, f"nobody-{uuid.uuid4().hex}@example.test")):
            began = time.monotonic()
            answer = market.shop.http.post("/api/v1/auth/login", json={"email": email, "password": "not the password"})
            seconds.append(1_000 * (time.monotonic() - began))
            assert answer.status_code == 401, answer.text
    return statistics.median(known), statistics.median(unknown)


def imports_end(market: Market) -> list[str]:
    """Each file that was taken is worked through, whatever it held."""
    def waiting() -> int:
        with psycopg.connect(market.stack.dsn("products")) as db:
            return db.execute("SELECT count(*) FROM imports WHERE state NOT IN ('completed', 'failed')").fetchone()[0]

    try:
        eventually(lambda: waiting() == 0, within=60, what="all imports ended")
    except AssertionError:
        return [f"{waiting()} imports have no end"]
    return []


def lived_through(market: Market) -> list[str]:
    """The victim has what they had, mail went to nobody that a header named, and the next order is paid."""
    found = []
    if market.look() != market.seen:
        found.append("what is the victim's has changed")
    if market.shop.mails_to(EVIL):
        found.append(f"a mail to {EVIL}")
    try:
        market.buy(market.victim)
    except AssertionError as error:
        found.append(f"the next order is not served: {error}")
    return found


def sieged(stack: Stack, order: Order) -> tuple[Siege, list[slow.Slow], int, Section]:
    section, all_endpoints = Section(), endpoints()
    with canary() as listening, concurrent.futures.ThreadPoolExecutor(2) as beside:
        market = Market(stack)
        before = health.pulses(stack)
        lure(market, listening.getsockname()[1])
        order.say(f"{len(all_endpoints)} endpoints")
        trickles = [beside.submit(slow.trickle, stack, body) for body in ((False,) if order.size == "short" else (False, True))]
        siege = besiege(market, all_endpoints, order.seed, order.size != "short", chosen_for(order))
        slows = [each.result() for each in trickles]
        order.say(f"{siege.requests} requests of {len(siege.shapes)} shapes, {len(siege.faults)} faults")
        (order.folder / "faults.txt").write_text("\n".join(siege.faults))
        section.violations += siege.faults + [fault for each in slows for fault in each.faults]
        section.violations += imports_end(market) + health.errors_said(stack, before)
        sent = poison.put(stack)
        section.violations += poison.buried(stack, sent)
        order.say(f"{sum(sent.values())} poison messages in {len(sent)} queues")
        section.violations += lived_through(market) + was_called(listening)
        if order.size != "short":
            known, unknown = timing(market)
            section.lines.append(f"A refused login takes {known:.0f} ms with an account and {unknown:.0f} ms without.")
            if max(known, unknown) > TELLING_RATIO * min(known, unknown):
                section.violations.append(f"a refused login tells who has an account: {known:.0f} and {unknown:.0f} ms")
        section.violations += eventually_clean(lambda: violations(stack, market.told))
        section.violations += health.compared(before, health.pulses(stack))
    return siege, slows, sum(sent.values()), section


def table(siege: Siege) -> list[str]:
    classes = (2, 3, 4, 5, 0)
    lines = ["| shapes of | 2xx | 3xx | 4xx | 5xx | closed |", "|---|---|---|---|---|---|"]
    for family in sorted({family for family, _ in siege.answers}):
        counted = [sum(n for (own, status), n in siege.answers.items() if own == family and status // 100 == one) for one in classes]
        lines.append(f"| {family} | {' | '.join(f'{count:,}' for count in counted)} |")
    return lines


def fuzzed(order: Order, section: Section) -> None:
    seconds = FUZZ_SECONDS[order.size]
    if not seconds:
        return
    fuzzing.build()
    results = fuzzing.fuzz_all(fuzzing.targets(), seed=order.seed, seconds=seconds, found=order.folder / "fuzz", say=order.say)
    section.figures["fuzz executions"] = f"{sum(each.executions for each in results):,}"
    section.violations += [f"fuzz target {each.target}: {each.finding}" for each in results if each.finding]
    section.lines += ["", "| fuzz target | executions | features |", "|---|---|---|"]
    section.lines += [f"| {each.target} | {each.executions:,} | {each.features:,} |" for each in results]


def run(order: Order) -> Section:
    with Stack(profile="proof") as stack, keeping_logs(stack, order.folder):
        siege, slows, poisoned, section = sieged(stack, order)
    section.figures = {
        "endpoints": len({endpoint for _, endpoint in siege.met}),
        "shapes": len(siege.shapes),
        "requests": siege.requests,
        "trickling connections": sum(each.connections for each in slows),
        "poison messages": poisoned,
    }
    section.lines = [
        f"{siege.requests:,} requests, the slowest answered after {siege.slowest:.1f} s. A 2xx is right only where the contract takes the"
        " value: a name may be a piece of SQL, and is stored as one.",
        "",
        *table(siege),
        "",
        *section.lines,
    ]
    fuzzed(order, section)
    return section
