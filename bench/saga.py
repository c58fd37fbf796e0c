"""The whole way of an order: how many a second are paid, shipped off and mailed for as long as you like, and how long
one takes when there is room."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator

import pika
import psycopg
from pika.adapters.blocking_connection import BlockingChannel
from stack import Stack
from stack.services import SERVICES

from bench import parts
from bench.figures import Round, growing, round_seconds, rounded, row
from bench.market import Market
from bench.parts import CHECKOUT, SERVERS, Failed
from bench.rows import Plan, post_orders, room, under_way, wait_until_settled, watched_databases
from tests.broker import channel_of, queue_names
from tests.judge import audit, eventually_clean
from tests.resilience.crowd import crowd_of

PROBE_SECONDS = 5
FIRST_SHARE = 0.95  # of what the probe settled a second
NEXT_SHARE = 0.92  # of a rate at which a queue grew
TRIES_MAX = 6
SAMPLE_SECONDS = 1.0
SAMPLES_MIN = 9
LONGER_SECONDS = 3  # than its rounds the load goes on, so that all of them are under it
HOPELESS_SECONDS = 4.0  # of work in one queue: it will not come back
PACED_CONNECTIONS = 64


def messages_in(channel: BlockingChannel, queues: list[str]) -> int:
    """Ready or unconfirmed, by the broker's own count."""
    return sum(channel.queue_declare(name, passive=True).method.message_count for name in queues)


class Watch:
    """Looks at what is under way, from its start until `end`."""

    def __init__(self, stack: Stack, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self.samples: list[dict[str, int]] = []
        self._stack = stack
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._looking = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._looking.wait()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure:
            raise Failed(f"nobody saw the queues: {self._failure!r}") from self._failure

    def _run(self) -> None:
        try:
            queues = queue_names("work")
            with watched_databases(self._stack) as databases, channel_of(self._stack) as channel:
                self._looking.set()
                while not self._ended.wait(self._every_seconds):
                    self.samples.append(under_way(databases) | {"messages": messages_in(channel, queues)})
        except (psycopg.Error, pika.exceptions.AMQPError, OSError) as error:
            self._failure = error
        finally:
            self._looking.set()


@contextlib.contextmanager
def pace(market: Market, a_second: float, seconds: int) -> Iterator[subprocess.Popen]:
    """Orders that come at random, so many a second whatever the answers take. Ends with the block."""
    command = [
        "wrk", "-t1", f"-c{PACED_CONNECTIONS}", f"-d{seconds}s", f"--timeout={parts.ANSWER_SECONDS}s",
        "-s", CHECKOUT / "bench/load/overload.lua", market.url, "--", market.tokens, market.variants_file,
        uuid.uuid4().hex[:8], f"{1000 / a_second:.5f}", "1",
    ]  # fmt: skip
    load = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
    try:
        yield load
    finally:
        load.kill()
        load.wait()


def refused(printed: str) -> dict[str, int]:
    """Orders of a paced load that were not accepted, by what was answered."""
    crowd = crowd_of([printed])
    answers = {**crowd.by_status, "no answer": crowd.socket_errors}
    return {f"refused: {status}": count for status, count in answers.items() if status != 201 and count}


def paid_orders(stack: Stack) -> int:
    with psycopg.connect(stack.dsn("orders"), autocommit=True) as db:
        return db.execute("SELECT count(*) FROM orders WHERE status = 'paid'").fetchone()[0]


def probe(market: Market) -> float:
    """Orders settled a second, when as many as possible came for a moment."""
    first = post_orders(market, 1)
    wait_until_settled(market.stack)
    seconds = round_seconds(first["requests"] / first["seconds"], room(market), PROBE_SECONDS)
    before, began = paid_orders(market.stack), time.monotonic()
    post_orders(market, seconds)
    wait_until_settled(market.stack)
    return (paid_orders(market.stack) - before) / (time.monotonic() - began)


def held(market: Market, plan: Plan, a_second: float) -> list[Round] | dict[str, float]:
    """The rounds of one unbroken load of `a_second`, or which queue grew under it."""
    stack, rounds = market.stack, []
    whole = plan.seconds * plan.repeats
    watch = Watch(stack, min(SAMPLE_SECONDS, whole / SAMPLES_MIN))
    grew: dict[str, float] = {}
    try:
        with pace(market, a_second, whole + LONGER_SECONDS) as load:
            for _ in range(plan.repeats):
                before, paid, began = parts.cpu_seconds(stack), paid_orders(stack), time.monotonic()
                while (left := began + plan.seconds - time.monotonic()) > 0:
                    time.sleep(min(left, SAMPLE_SECONDS))
                    if watch.samples and max(watch.samples[-1].values()) > a_second * HOPELESS_SECONDS:
                        return {"what is under way": HOPELESS_SECONDS}
                done, seconds = paid_orders(stack) - paid, time.monotonic() - began
                rounds.append(Round(done, seconds, parts.used(before, parts.cpu_seconds(stack))))
            grew = growing(watch.samples, a_second)
            grew |= refused(load.communicate(timeout=2 * parts.ANSWER_SECONDS)[0])
    finally:
        watch.end()
    return grew or rounds


def sustained(market: Market, plan: Plan) -> dict:
    """The most orders a second that are paid, committed and mailed while no queue grows."""
    settled = probe(market)
    a_second, tried = settled * FIRST_SHARE, []
    for _ in range(TRIES_MAX):
        outcome = held(market, plan, a_second)
        seconds = wait_until_settled(market.stack)
        if isinstance(outcome, list):
            found = row(outcome, SERVICES, SERVERS)
            return found | {"offered": rounded(a_second), "probe": rounded(settled), "settled_after_s": rounded(seconds), "grew": tried}
        tried.append({"offered": rounded(a_second), "grew": outcome})
        print(f"  at {a_second:.0f} orders/s grew {outcome}", flush=True)
        a_second *= NEXT_SHARE
    raise Failed(f"a queue grew at every rate that was tried: {tried}")


def audited(stack: Stack) -> dict:
    """What tools/audit looked at when all is at rest; raises Failed of a violation."""
    began, reports = time.monotonic(), []

    def look() -> list[str]:
        reports.append(audit(stack))
        return reports[-1].lines()

    if found := eventually_clean(look):
        raise Failed(f"the audit found {found}: figures of a shop that breaks its promises are none")
    return {"violations": 0, "seconds": rounded(time.monotonic() - began), "checked": reports[-1].checked}
