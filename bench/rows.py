"""The request rows: each a closed loop of 32 connections, warmed up, repeated, with the CPU of every part."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence

import psycopg
from stack import Stack
from stack.services import SERVICES

from bench import parts
from bench.figures import Round, figure, round_seconds, row
from bench.market import NEW_LISTS_A_ROUND, OPEN_ORDERS_MAX, PASSWORD, Market
from bench.parts import SERVERS, Failed
from tests.shop import eventually
from tests.under_way import UNDER_WAY

LOGINS_AT_ONCE = 8  # fewer than user-service lets wait for its password threads
WARM_UP_SECONDS = 3
SETTLED_SECONDS = 180
LAG_BUCKETS = "stoa_loop_lag_seconds_bucket"


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long and how often each row is measured."""

    seconds: int = 20
    repeats: int = 3


Asked = tuple[str, Callable[[int], Sequence]]  # a script of bench/load, and what it is given in round n


def questions(market: Market) -> dict[str, Asked]:
    """Every request row that changes nothing, by its name."""
    token = market.buyers[0].tokens["access_token"]
    return {
        "product by id": ("reads.lua", lambda _: [market.product_paths]),
        "list, uncached": ("reads.lua", lambda number: [market.new_list_paths, "", number * NEW_LISTS_A_ROUND]),
        "list, cached": ("reads.lua", lambda _: [market.list_paths]),
        "text search, uncached": ("searches.lua", lambda number: [market.search_words, number]),
        "users/me": ("reads.lua", lambda _: [market.me_paths, token]),
    }


def closed_loop(
    market: Market, plan: Plan, script: str, arguments: Callable[[int], Sequence], connections: int = parts.CONNECTIONS
) -> dict:
    """`arguments`: what the script is given in round n; round 0 warms up."""
    rounds = []
    for number in range(plan.repeats + 1):
        seconds = plan.seconds if number else min(WARM_UP_SECONDS, plan.seconds)
        one = one_round(market, script, arguments(number), seconds, connections)
        if number:
            rounds.append(one)
    return row(rounds, SERVICES, SERVERS)


def one_round(market: Market, script: str, arguments: Sequence, seconds: int, connections: int = parts.CONNECTIONS) -> Round:
    before = parts.cpu_seconds(market.stack)
    counted = parts.wrk(market.url, script, arguments, seconds=seconds, connections=connections)
    spent = parts.used(before, parts.cpu_seconds(market.stack))
    require_answers(script, counted)
    return Round(counted["requests"], counted["seconds"], spent, parts.latency_ms(counted))


def require_answers(what: str, counted: dict) -> None:
    if counted["requests"] == 0 or counted["non_2xx"] or counted["socket_errors"]:
        raise Failed(f"{what}: {counted}: a figure over failed requests says nothing")


def login(market: Market, plan: Plan, hash_us: float) -> dict:
    """A login, what of it is not the hash, and the latest timer of user-service's loops meanwhile."""
    before = lag_buckets(market.stack)
    found = closed_loop(market, plan, "logins.lua", lambda n: [market.emails, PASSWORD], LOGINS_AT_ONCE)
    services = found["values"]["services_us"]
    found["values"]["beside_hash_us"] = figure(services[which] - hash_us for which in ("median", "low", "high"))
    found["values"]["loop_late_ms"] = figure([latest(before, lag_buckets(market.stack)) * 1000])
    return found


def lag_buckets(stack: Stack) -> dict[float, int]:
    """How many timers of user-service's loops fired at most so many seconds late."""
    with urllib.request.urlopen(stack.admin_url("user-service") + "/metrics", timeout=5) as answer:
        return buckets(answer.read().decode())


def buckets(metrics: str) -> dict[float, int]:
    found: dict[float, int] = {}
    for line in metrics.splitlines():
        if line.startswith(LAG_BUCKETS) and 'le="' in line:
            bound = float(line.partition('le="')[2].partition('"')[0].replace("+Inf", "inf"))
            found[bound] = found.get(bound, 0) + int(float(line.rpartition("} ")[2]))
    if not found:
        raise Failed(f"no {LAG_BUCKETS} among the metrics")
    return found


def latest(before: dict[float, int], after: dict[float, int], share: float = 0.99) -> float:
    """The least bound within which that share of the timers fired."""
    new = {bound: after[bound] - before.get(bound, 0) for bound in sorted(after)}
    every = max(new.values())
    return next(bound for bound, count in new.items() if count >= share * every)


def accepted(market: Market, plan: Plan) -> dict:
    """POST until 201 alone: who charges and who mails are down meanwhile, and catch up after each round. A round is
    as long as the buyers may have orders open."""
    stack = market.stack
    rounds: list[Round] = []
    seconds = 1
    for number in range(plan.repeats + 1):
        for service in ("payment-service", "notification-service"):
            stack.stop(service)
        before = parts.cpu_seconds(stack)
        counted = post_orders(market, seconds)
        spent = parts.used(before, parts.cpu_seconds(stack))
        for service in ("payment-service", "notification-service"):
            stack.start(service)
        wait_until_settled(stack)
        if number:
            rounds.append(Round(counted["requests"], counted["seconds"], spent, parts.latency_ms(counted)))
        seconds = round_seconds(counted["requests"] / counted["seconds"], room(market), plan.seconds)
    return row(rounds, SERVICES, SERVERS)


def room(market: Market) -> int:
    """Orders that the buyers may have open before one of them is refused, with a reserve: they do not come evenly."""
    return len(market.buyers) * OPEN_ORDERS_MAX * 3 // 4


def post_orders(market: Market, seconds: int, connections: int = parts.CONNECTIONS) -> dict:
    arguments = [market.tokens, market.variants_file, uuid.uuid4().hex[:8]]
    counted = parts.wrk(market.url, "orders.lua", arguments, seconds=seconds, connections=connections)
    require_answers("orders", counted)
    return counted


def under_way(databases: dict[str, psycopg.Connection]) -> dict[str, int]:
    """Orders without an end, stock held for them, mails not sent."""
    return {name: db.execute(UNDER_WAY[name]).fetchone()[0] for name, db in databases.items()}


@contextlib.contextmanager
def watched_databases(stack: Stack) -> Iterator[dict[str, psycopg.Connection]]:
    """Those in which something of an order is under way. An order waits for its payment: that is not asked again."""
    with contextlib.ExitStack() as opened:
        yield {
            name: opened.enter_context(psycopg.connect(stack.dsn(name), autocommit=True))
            for name in UNDER_WAY
            if name != "payments"
        }


def wait_until_settled(stack: Stack, within: float = SETTLED_SECONDS) -> float:
    """Seconds until nothing is under way any more."""
    began = time.monotonic()
    with watched_databases(stack) as databases:
        eventually(lambda: not any(under_way(databases).values()), within=within, what="every order settled")
    return time.monotonic() - began
