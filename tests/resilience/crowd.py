"""Many more customers than the shop can serve, and what it holds meanwhile.

The crowd is wrk (bench/load/overload.lua), half of it at each replica of the gateway.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterable

import psycopg
from stack import Stack
from stack.services import SERVICES, SERVICES_WITH_DATABASE

from bench import machine
from tests.steady import quantile
from tests.under_way import UNDER_WAY

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(CHECKOUT / "tools/audit"))

from snapshot import read_queues  # noqa: E402  (tools/audit, found by the line above)

SAMPLED_EVERY_SECONDS = 1.0
DOORS = (1, 2)  # replicas of the gateway
# A session is a group for the scheduler (autogroup), where the kernel has that; else the process's own niceness counts.
AHEAD_OF_OTHERS = ("sh", "-c", '[ ! -w /proc/self/autogroup ] || echo -10 > /proc/self/autogroup; exec nice -n -10 "$@"', "crowd")
ANSWER_SECONDS = 20  # longer than any deadline: who waits so long was left without an answer


@dataclasses.dataclass
class Crowd:
    """What wrk was answered. `accepted_ms`: the time of each request that was answered 201."""

    requests: int
    seconds: float
    socket_errors: int
    by_status: collections.Counter[int]
    without_retry_after: int
    without_id: int
    accepted_ms: list[float]

    @property
    def offered(self) -> float:
        return self.requests / self.seconds

    @property
    def accepted(self) -> float:
        return self.by_status[201] / self.seconds

    @property
    def refused_share(self) -> float:
        return 1 - self.by_status[201] / self.requests if self.requests else 0.0

    def ms(self, share: float) -> float:
        return quantile(self.accepted_ms, share)

    def wrong(self) -> list[str]:
        """Answers that nobody may get, however many ask."""
        others = {status: count for status, count in self.by_status.items() if status not in (201, 429, 503)}
        told = {
            f"answers {others}": sum(others.values()),
            "refusals without Retry-After": self.without_retry_after,
            "answers without the request's id": self.without_id,
            "connections broken, refused or left without an answer": self.socket_errors,
        }
        return [f"the crowd met {count} {what}" for what, count in told.items() if count]


def crowd_of(printed: Iterable[str]) -> Crowd:
    """From what each wrk printed: overload.lua's is the last line."""
    told = [json.loads(text.strip().splitlines()[-1]) for text in printed]
    threads = [thread for one in told for thread in one["threads"]]
    by_status: collections.Counter[int] = collections.Counter()
    for thread in threads:
        by_status.update({int(status): count for status, count in thread["by_status"].items()})
    return Crowd(
        requests=sum(one["requests"] for one in told),
        seconds=max(one["seconds"] for one in told),
        socket_errors=sum(one["socket_errors"] for one in told),
        by_status=by_status,
        without_retry_after=sum(thread["without_retry_after"] for thread in threads),
        without_id=sum(thread["without_id"] for thread in threads),
        accepted_ms=[ms for thread in threads for ms in thread["accepted_ms"]],
    )


@dataclasses.dataclass
class Market:
    """What the crowd buys, and by whose tokens: a token and a variant a line."""

    stack: Stack
    tokens: pathlib.Path
    variants: pathlib.Path
    seed: int

    def crowd(self, name: str, connections: int, seconds: int, a_second: float = 0.0) -> Crowd:
        """`a_second`: so many requests begin, however fast answers are; 0: each customer asks again at once. `name` makes
        the keys its own. The crowd comes from other machines: it does not wait for the shop's processors."""
        script = CHECKOUT / "bench/load/overload.lua"
        gap_ms = len(DOORS) * 1000 / a_second if a_second else 0
        doors = [
            subprocess.Popen(
                [*AHEAD_OF_OTHERS, "wrk", "-t1", f"-c{connections // len(DOORS)}", f"-d{seconds}s", f"--timeout={ANSWER_SECONDS}s", "-s", script,
                 self.stack.url("api-gateway", replica), "--", self.tokens, self.variants, f"{name}-{self.seed}-{replica}",
                 f"{gap_ms:.4f}", str(self.seed + replica)],
                stdout=subprocess.PIPE, text=True, start_new_session=True)
            for replica in DOORS
        ]  # fmt: skip
        try:
            return crowd_of([door.communicate(timeout=seconds + 2 * ANSWER_SECONDS)[0] for door in doors])
        finally:
            for door in doors:
                door.kill()


def memory_of(stack: Stack, names: Iterable[str] = SERVICES) -> dict[str, float]:
    """MiB (proportional set size) by process, what each has started included."""
    return {f"{part.name} {part.replica}": machine.pss_bytes(part.process.pid) / 2**20
            for part in stack.parts.values() if part.name in names and part.process.pid}


def backlog_of(stack: Stack) -> dict[str, int]:
    """What waits: facts in outboxes, messages in queues (dead ones apart), orders without an end."""
    waiting = {"facts in outboxes": 0, "messages in queues": 0, "dead letters": 0}
    for database in SERVICES_WITH_DATABASE.values():
        with psycopg.connect(stack.dsn(database)) as db:
            [rows] = db.execute("SELECT count(*) FROM outbox").fetchone()
            waiting["facts in outboxes"] += rows
    for purpose, count in read_queues(stack.state()["rabbitmq"]).values():
        waiting["dead letters" if purpose == "dead" else "messages in queues"] += count
    with psycopg.connect(stack.dsn("orders")) as db:
        [waiting["open orders"]] = db.execute(UNDER_WAY["orders"]).fetchone()
    return waiting


class Watch:
    """The most of everything that was seen until the end of the block: MiB by process, and what waits."""

    SERVERS = ("postgres", "rabbitmq", "redis")

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ending = threading.Event()
        self.before = memory_of(stack, [*SERVICES, *self.SERVERS])
        self.memory = dict(self.before)
        self.backlog: dict[str, int] = {}
        self.blind = ""  # why it could not look

    def __enter__(self) -> Watch:
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._sampler.join()

    def growth(self) -> tuple[str, float]:
        """Of the service that grew most."""
        grown = {name: self.memory[name] - mib for name, mib in self.before.items() if name.rpartition(" ")[0] in SERVICES}
        name = max(grown, key=lambda name: grown[name])
        return name, grown[name]

    def _sample(self) -> None:
        ended = False
        while not ended:
            ended = self._ending.wait(SAMPLED_EVERY_SECONDS)  # and once more at the end
            self._keep_most(self.memory, memory_of(self._stack, [*SERVICES, *self.SERVERS]))
            try:
                self._keep_most(self.backlog, backlog_of(self._stack))
            except Exception as error:  # a part that is hurt; the rest is still watched
                self.blind = repr(error)

    @staticmethod
    def _keep_most(most: dict, now: dict) -> None:
        for name, value in now.items():
            most[name] = max(most.get(name, value), value)
