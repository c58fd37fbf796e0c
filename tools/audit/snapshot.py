"""What an audit looks at, read once: databases, queues, the provider's statement, the mailbox."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import subprocess
import urllib.error
import urllib.request
import uuid
from typing import Any

import pika
import psycopg
from psycopg.rows import dict_row

DATABASES = ["users", "products", "orders", "payments", "notifications"]
TOPOLOGY = pathlib.Path(__file__).resolve().parent.parent / "topology" / "topology"
STATEMENT_PAGE = 1000

# An event's effect without the row that keeps a repeat of the event out; those are kept for 30 days.
UNCLAIMED = """{at} > now() - interval '29 days'
              AND NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = '{consumer}' AND i.received_at = {at})"""

# Everything a check needs, by database. `quiet`: unchanged for 30 s by that database's own clock.
QUERIES: dict[str, dict[str, str]] = {
    "products": {
        "stock": """
            SELECT s.variant_id, s.warehouse, s.on_hand, s.reserved,
                   coalesce((SELECT sum(m.delta) FROM stock_movements m
                             WHERE m.variant_id = s.variant_id AND m.warehouse = s.warehouse), 0)::bigint AS journal,
                   coalesce((SELECT sum(l.quantity) FROM reservation_lines l
                             WHERE l.variant_id = s.variant_id AND l.state = 'active'), 0)::bigint AS active
            FROM stock s""",
        "reservations": """
            SELECT id, origin, state, expires_at < now() - interval '30 seconds' AS overdue,
                   greatest(created_at, coalesce(ended_at, created_at)) < now() - interval '30 seconds' AS quiet
            FROM reservations""",
        "reservation_movements": """
            SELECT reservation_id, variant_id, kind, count(*) AS times, sum(delta)::bigint AS delta
            FROM stock_movements WHERE reservation_id IS NOT NULL GROUP BY 1, 2, 3""",
        "reservation_lines": """
            SELECT reservation_id, state, variant_id, sum(quantity)::bigint AS quantity
            FROM reservation_lines GROUP BY 1, 2, 3""",
    },
    "orders": {
        "orders": """
            SELECT id, reservation_id, status, total_minor, currency,
                   updated_at < now() - interval '30 seconds' AS quiet
            FROM orders""",
        "claims": "SELECT reservation_id, origin, order_id FROM reservation_claims",
        "history": "SELECT order_id, type, count(*) AS times FROM order_history GROUP BY 1, 2",
        "steps": """
            SELECT order_id, before, status FROM (
              SELECT order_id, status, lag(status) OVER (PARTITION BY order_id ORDER BY version) AS before
              FROM order_history) AS step
            WHERE (coalesce(before, 'nothing'), status) NOT IN (
              ('nothing', 'pending'), ('pending', 'paid'), ('pending', 'payment_failed'), ('pending', 'cancelling'),
              ('paid', 'cancelling'), ('cancelling', 'cancelled'))""",
        # now() is the transaction's: an effect and the inbox row of its event have the same moment.
        "order_effects_unclaimed": f"""
            SELECT h.order_id AS subject, h.type AS effect, h.at FROM order_history h
            WHERE h.type IN ('order.paid', 'order.payment_failed', 'order.cancelled')
              AND {UNCLAIMED.format(at="h.at", consumer="order-service.payment-results")}""",
    },
    "payments": {
        "payments": """
            SELECT id, order_id, status, amount_minor, captured_minor, refunded_minor, refund_pending_minor, currency,
                   closed_at IS NOT NULL AS closed, updated_at < now() - interval '30 seconds' AS quiet
            FROM payments""",
        "attempts": """
            SELECT id, payment_id, order_id, status, created_at < now() - interval '30 seconds' AS quiet
            FROM attempts""",
        "refunds": """
            SELECT id, payment_id, amount_minor, status, created_at < now() - interval '30 seconds' AS quiet
            FROM refunds""",
        "payment_effects_unclaimed": f"""
            SELECT p.order_id AS subject, 'opened' AS effect, p.created_at AS at FROM payments p
            WHERE p.amount_minor IS NOT NULL
              AND {UNCLAIMED.format(at="p.created_at", consumer="payment-service.order-placed")}
            UNION ALL
            SELECT p.order_id, 'closed', p.closed_at FROM payments p
            WHERE p.closed_at IS NOT NULL
              AND {UNCLAIMED.format(at="p.closed_at", consumer="payment-service.order-cancel-requested")}""",
        "ledger_sums": """
            SELECT transaction_id, currency, sum(amount_minor)::bigint AS sum
            FROM ledger_entries GROUP BY 1, 2 HAVING sum(amount_minor) <> 0""",
        "cash": """
            SELECT transaction_id, currency, sum(amount_minor)::bigint AS amount_minor
            FROM ledger_entries WHERE account = 'provider_cash' GROUP BY 1, 2""",
        # What keeps it append-only and balanced: no right to change, and triggers that are in force.
        "ledger_rights": """
            SELECT privilege FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS p (privilege)
            WHERE has_table_privilege('payment-service', 'ledger_entries', privilege)""",
        "ledger_triggers": """
            SELECT tgname AS name, tgdeferrable AS deferred FROM pg_trigger
            WHERE tgrelid = 'ledger_entries'::regclass AND tgenabled IN ('O', 'A') AND NOT tgisinternal""",
    },
    "notifications": {
        "deliveries": """
            SELECT id, subject, kind, status, message_id, failures, updated_at < now() - interval '30 seconds' AS quiet
            FROM deliveries""",
        "delivery_effects_unclaimed": f"""
            SELECT d.subject, d.kind AS effect, d.created_at AS at FROM deliveries d
            WHERE {UNCLAIMED.format(at="d.created_at", consumer="notification-service.events")}""",
    },
    "users": {
        "users": """
            SELECT id FROM users WHERE created_at > now() - interval '30 days'""",
    },
}
OUTBOX = "SELECT count(*) AS rows, coalesce(extract(epoch FROM now() - min(created_at)), 0)::bigint AS age FROM outbox"


class Unreadable(Exception):
    """Something the audit must see could not be seen."""


@dataclasses.dataclass
class Sources:
    databases: dict[str, str]
    broker: dict[str, Any]
    provider: dict[str, str]
    mail: str
    interruptions: int | None = None  # of those that send mails; None: nobody counted

    @staticmethod
    def of_stack(file: pathlib.Path) -> Sources:
        state = json.loads(file.read_text())
        secrets = pathlib.Path(state["secrets"])
        return Sources(
            databases={name: state["databases"][name]["audit"] for name in DATABASES},
            broker=state["rabbitmq"],
            provider={"url": state["urls"]["payment-simulator"], "key": (secrets / "provider-key").read_text().strip()},
            mail=state["urls"]["mail-sink"],
            interruptions=interruptions_of(state),
        )

    @staticmethod
    def of_secrets(folder: pathlib.Path) -> Sources:
        """The shop beside which this runs, its servers by the names that they have there; FOLDER is as tools/secrets makes it."""
        def secret(name: str) -> str:
            return (folder / name).read_text().strip()

        return Sources(
            databases={name: psycopg.conninfo.make_conninfo(host="postgres", dbname=name, user="audit", password=secret("audit-password"))
                       for name in DATABASES},
            broker={"host": "rabbitmq", "port": 5672, "user": "operator", "password": secret("broker-admin-password")},
            provider={"url": "http://payment-simulator:3010", "key": secret("provider-key")},
            mail="http://mail-sink:8025",
        )

    @staticmethod
    def of_config(file: pathlib.Path) -> Sources:
        return Sources(**json.loads(file.read_text()))


@dataclasses.dataclass
class Snapshot:
    tables: dict[str, list[dict[str, Any]]]
    outboxes: dict[str, dict[str, int]]
    queues: dict[str, tuple[str, int]]  # name -> (purpose, messages)
    statement: list[dict[str, Any]]
    mails: list[dict[str, Any]]
    interruptions: int | None = None

    def __getitem__(self, table: str) -> list[dict[str, Any]]:
        return self.tables[table]

    def counts(self) -> dict[str, int]:
        return {
            "variants": len(self["stock"]),
            "reservations": len(self["reservations"]),
            "orders": len(self["orders"]),
            "payments": len(self["payments"]),
            "refunds": len(self["refunds"]),
            "deliveries": len(self["deliveries"]),
            "queues": len(self.queues),
            "statement lines": len(self.statement),
            "mails": len(self.mails),
        }


def read(sources: Sources) -> Snapshot:
    """Every source once; each database in one snapshot of its own. Raises Unreadable."""
    tables: dict[str, list[dict[str, Any]]] = {}
    outboxes: dict[str, dict[str, int]] = {}
    # Consumers' databases first: what is seen there has its cause in what is read later.
    for name in ["notifications", "products", "payments", "orders", "users"]:
        try:
            with psycopg.connect(sources.databases[name], row_factory=dict_row, connect_timeout=5) as db:
                db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                db.read_only = True
                for table, query in QUERIES[name].items():
                    tables[table] = db.execute(query).fetchall()
                outboxes[name] = db.execute(OUTBOX).fetchone()
        except psycopg.Error as error:
            raise Unreadable(f"database {name}: {error}") from error
    return Snapshot(tables, outboxes, read_queues(sources.broker), read_statement(sources.provider), read_mails(sources.mail),
                    sources.interruptions)


def interruptions_of(state: dict[str, Any]) -> int:
    """How often a sender of mails, or what it talks to while it sends, was ended or held; once for each sender it concerns."""
    count = {name: sum(part["interruptions"] for part in state["parts"][name]) for name in ("notification-service", "mail-sink", "postgres")}
    return count["notification-service"] + state["replicas"] * (count["mail-sink"] + count["postgres"])


def read_queues(broker: dict[str, Any]) -> dict[str, tuple[str, int]]:
    listing = subprocess.run([TOPOLOGY, "queues"], check=True, capture_output=True, text=True).stdout
    depths: dict[str, tuple[str, int]] = {}
    try:
        connection = pika.BlockingConnection(
            pika.ConnectionParameters(
                broker["host"],
                int(broker["port"]),
                credentials=pika.PlainCredentials(broker["user"], broker["password"]),
                socket_timeout=10,
            )
        )
        channel = connection.channel()
        for line in listing.splitlines():
            name, purpose = line.split()[:2]
            depths[name] = (purpose, channel.queue_declare(name, passive=True).method.message_count)
        connection.close()
    except pika.exceptions.AMQPError as error:
        raise Unreadable(f"broker: {error!r}") from error
    if not depths:
        raise Unreadable("broker: the topology names no queue")
    return depths


def get_json(url: str, key: str | None = None) -> Any:
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.URLError as error:
        raise Unreadable(f"{url}: {error}") from error


def read_statement(provider: dict[str, str]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    after = 0
    while True:
        page = get_json(f"{provider['url']}/v1/statement?limit={STATEMENT_PAGE}&after={after}", provider["key"])
        # The provider signs its amounts (a refund is negative) and knows our ids by their text only.
        lines += [
            {"kind": line["kind"], "uuid": uuid_of(line["key"]), "currency": line["currency"],
             "amount_minor": abs(line["amount"])}
            for line in page["data"]
        ]
        if not page["has_more"]:
            return lines
        after = page["data"][-1]["line"]


def uuid_of(key: str) -> str:
    """The UUID inside a TypeID; for any other key the one under which reconcile books it (crypto::name_based_uuid)."""
    suffix = key.rpartition("_")[2]
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    if len(suffix) != 26 or not set(suffix) <= set(alphabet):
        return name_based_uuid("provider-key", key)
    value = 0
    for character in suffix:
        value = value * 32 + alphabet.index(character)
    return str(uuid.UUID(int=value)) if value < 1 << 128 else name_based_uuid("provider-key", key)


def name_based_uuid(*parts: str) -> str:
    """RFC 9562 version 8: SHA-256 of the parts, each behind its length in eight bytes."""
    named = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)
    number = int.from_bytes(hashlib.sha256(named).digest()[:16], "big")
    return str(uuid.UUID(int=number & ~(0xF000 << 64 | 0xC000 << 48) | 0x8000 << 64 | 0x8000 << 48))


def read_mails(url: str) -> list[dict[str, Any]]:
    return get_json(f"{url}/api/messages?summary=true&limit=1000000")["messages"]
