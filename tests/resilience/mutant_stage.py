"""The stage on which mutants are tried: one stack, put back to its first state after each that was caught."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from stack import Stack
from stack.services import SERVICES_WITH_DATABASE
from tests.broker import EVENT, channel_of, queue_names
from tests.judge import CannotLook, audit
from tests.shop import Shop, eventually

# Who holds what a mutant or its play may leave, with the database; the gateway runs through.
SPOILT = SERVICES_WITH_DATABASE
# What is waited for in a run comes soon: leases, deadlines and sweeps are short.
ENVIRONMENT = {
    "payment-service": {"STOA_LEASE_MS": "1000", "STOA_PROVIDER_TIMEOUT_MS": "500"},
    "order-service": {"STOA_SWEEP_PERIOD_MS": "200", "STOA_CANCELLING_RETRY_SECONDS": "5"},
    "product-service": {"STOA_RESERVATION_DEADLINE_SECONDS": "5"},
}
TAP = "proof.tap"


class Stage:
    """A running stack with what every scenario needs of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.shop = Shop(stack.url("api-gateway"), stack.url("mail-sink"))
        self.interruptions = 0  # how often a play ended the sender of mails since the first state
        self._keep_first_state()

    # ---- judging ----------------------------------------------------------------------------------

    def audit(self, told: list[str]) -> list[dict[str, Any]] | None:
        """The violations that tools/audit finds at rest; None when something that it must see is away."""
        try:
            return audit(self.stack, told, self.interruptions).violations
        except CannotLook:
            return None

    # ---- the broker -------------------------------------------------------------------------------

    def take(self, queue: str) -> bytes:
        """The next message of a queue that nobody consumes now."""

        def got() -> bytes | None:
            with channel_of(self.stack) as channel:
                return channel.basic_get(queue, auto_ack=True)[2]

        return eventually(got, within=10, what=f"a message in {queue}")

    def put(self, queue: str, body: bytes) -> None:
        with channel_of(self.stack) as channel:
            channel.basic_publish("", queue, body, EVENT)

    @contextlib.contextmanager
    def tap(self) -> Iterator[Callable[[str], bytes]]:
        """Copies every event; yields a function that returns the first one of a type."""
        with channel_of(self.stack) as channel:
            channel.queue_declare(TAP, exclusive=True)
            channel.queue_bind(TAP, "stoa.events", "#")
            seen: list[tuple[str, bytes]] = []

            def first(type_: str) -> bytes:
                def found() -> bytes | None:
                    method, _, body = channel.basic_get(TAP, auto_ack=True)
                    if method:
                        seen.append((method.routing_key, body))
                    return next((body for key, body in seen if key == type_), None)

                return eventually(found, within=10, what=f"event {type_}")

            yield first

    # ---- PostgreSQL -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[psycopg.Connection]:
        """As its superuser."""
        with psycopg.connect(self.stack.dsn(name, "postgres"), autocommit=True) as connection:
            yield connection

    def drop_constraint(self, database: str, table: str, name: str) -> None:
        """Takes away the constraint that stands behind a defence, so that the defence is asked alone."""
        with self.database(database) as db:
            db.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")

    @contextlib.contextmanager
    def held(self, database: str, statement: str) -> Iterator[None]:
        """Holds what `statement` locks, as somebody slow would."""
        with self.database(database) as db, db.transaction():
            db.execute(statement)
            yield

    def waiting(self, database: str, query: str = "%") -> list[int]:
        """The sessions that wait for a lock with a statement like `query`."""
        with self.database(database) as db:
            rows = db.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock' AND query LIKE %s",
                [database, query],
            )
            return [row[0] for row in rows]

    def cancel(self, database: str, sessions: list[int]) -> None:
        """Cancels what these sessions do now."""
        with self.database(database) as db:
            db.execute("SELECT pg_cancel_backend(pid) FROM unnest(%s::int[]) AS pid", [sessions])

    # ---- its first state --------------------------------------------------------------------------

    def _keep_first_state(self) -> None:
        self._await_clean()
        self._kill()
        # The mailbox is emptied whenever this state comes back, so the demo's accounts become old ones, whose
        # mails the audit does not ask for.
        with self.database("notifications") as db:
            db.execute("TRUNCATE deliveries")
        with self.database("users") as db:
            db.execute("UPDATE users SET created_at = created_at - interval '60 days'")
        self._empty_mailbox()
        with self.database("postgres") as db:
            for name in SPOILT.values():
                db.execute(f"ALTER DATABASE {name} RENAME TO {name}_first")
                db.execute(f"ALTER DATABASE {name}_first WITH ALLOW_CONNECTIONS false")
        self._make_databases()
        self._start()

    def put_back(self) -> None:
        """Databases, queues, provider and mailbox are as they were when the stage was made."""
        self._kill()
        self._make_databases()
        self._empty_queues()
        (self.stack.folder / "payment-simulator" / "journal").unlink(missing_ok=True)
        self._empty_mailbox()
        self.interruptions = 0
        self._start()
        self._await_clean()

    def _await_clean(self) -> None:
        """Whoever is tried next is not blamed for what was there."""

        def clean() -> bool:
            return self.audit([]) == []

        eventually(clean, within=60, what="a stage on which the audit finds nothing")

    def _empty_mailbox(self) -> None:
        self.shop.mail.delete("/api/messages").raise_for_status()

    def _kill(self) -> None:
        for name in (*SPOILT, "payment-simulator"):
            self.stack.kill(name)

    def _make_databases(self) -> None:
        with self.database("postgres") as db:
            for name in SPOILT.values():
                db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                db.execute(f"CREATE DATABASE {name} TEMPLATE {name}_first")
                # A copy has neither the owner nor the rights of its template.
                db.execute(
                    "UPDATE pg_database AS made SET datacl = kept.datacl, datdba = kept.datdba FROM pg_database AS kept"
                    " WHERE made.datname = %s AND kept.datname = %s",
                    [name, f"{name}_first"],
                )

    def _empty_queues(self) -> None:
        queues = queue_names()
        with channel_of(self.stack) as channel:
            # What the killed held comes back to the queues once their connections are gone.
            empty_rounds = 0
            end = time.monotonic() + 20
            while empty_rounds < 3 and time.monotonic() < end:
                purged = sum(channel.queue_purge(queue).method.message_count for queue in queues)
                empty_rounds = 0 if purged else empty_rounds + 1

    def _start(self) -> None:
        names = ("payment-simulator", *SPOILT)
        for name in names:
            self.stack.start(name, wait=False)
        for name in names:
            eventually(self.stack.part(name).ready, within=60, what=f"{name} ready")


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Their results, or the exceptions."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))
