"""The invariants as pure functions of a snapshot: each yields violations with their rows."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

from snapshot import Snapshot

INVARIANTS = {
    "stock": "on_hand, reserved and what is left are never negative; journal and reservations add up",
    "money": "one capture an order at most; what is kept is what the order's state says",
    "ledger": "every transaction sums to zero; our cash account is the provider's statement, line by line",
    "liveness": "nothing waits for ever: orders, attempts, refunds, outboxes, queues",
    "exactly-once": "each event has changed each database once",
    "idempotency": "one key, one effect: claims, orders and reservations name each other once",
    "mail": "exactly one for each subject and kind",
    "durability": "what was answered 2xx exists",
}
SETTLED = {"paid", "payment_failed", "cancelled"}
# Where the stock of an order must be once the order is settled.
# What one sender may have handed over without having recorded it (notification-service: 4 under way, 8 unrecorded).
IN_DOUBT_MAX = 12
STOCK_OF = {"paid": {"committed"}, "payment_failed": {"released"}, "cancelled": {"released", "restocked"}}


@dataclasses.dataclass
class Violation:
    invariant: str
    what: str
    rows: list[Any]


def judge(snapshot: Snapshot, at_rest: bool, told: list[str]) -> list[Violation]:
    """All violations. `at_rest`: nothing is under way, so subjects need not have been quiet."""
    found: list[Violation] = []
    for check in (stock, money, ledger, liveness, exactly_once, idempotency, mail):
        found += check(snapshot, at_rest)
    return found + list(durability(snapshot, told))


def some(invariant: str, what: str, rows: list[Any]) -> Iterator[Violation]:
    if rows:
        yield Violation(invariant, what, rows)


def stock(s: Snapshot, _: bool) -> Iterator[Violation]:
    rows = s["stock"]
    yield from some("stock", "on_hand below zero", [r for r in rows if r["on_hand"] < 0])
    yield from some("stock", "reserved below zero", [r for r in rows if r["reserved"] < 0])
    yield from some("stock", "more reserved than there is", [r for r in rows if r["reserved"] > r["on_hand"]])
    yield from some("stock", "the journal does not sum to on_hand", [r for r in rows if r["journal"] != r["on_hand"]])
    yield from some(
        "stock", "active reservations do not sum to reserved", [r for r in rows if r["active"] != r["reserved"]]
    )


def money(s: Snapshot, at_rest: bool) -> Iterator[Violation]:
    captures = collections.Counter(a["order_id"] for a in s["attempts"] if a["status"] == "captured")
    yield from some("money", "more than one successful capture", [o for o, n in captures.items() if n > 1])

    refunded: collections.Counter = collections.Counter()
    for refund in s["refunds"]:
        if refund["status"] == "succeeded":
            refunded[refund["payment_id"]] += refund["amount_minor"]
    yield from some(
        "money", "a payment's refunds do not add up", [p for p in s["payments"] if p["refunded_minor"] != refunded[p["id"]]]
    )
    open_refunds: collections.Counter = collections.Counter()
    for refund in s["refunds"]:
        if refund["status"] in ("pending", "unknown"):
            open_refunds[refund["payment_id"]] += refund["amount_minor"]
    yield from some(
        "money",
        "a payment's open refunds do not count against its cap",
        [p for p in s["payments"] if p["refund_pending_minor"] != open_refunds[p["id"]]],
    )
    yield from some(
        "money",
        "more given back than was captured",
        [p for p in s["payments"] if p["refunded_minor"] + p["refund_pending_minor"] > p["captured_minor"]],
    )

    payments = {p["order_id"]: p for p in s["payments"]}
    wrong = []
    for order in s["orders"]:
        payment = payments.get(order["id"])
        if order["status"] not in SETTLED or not (at_rest or (order["quiet"] and (not payment or payment["quiet"]))):
            continue
        captured = payment["captured_minor"] if payment else 0
        given_back = payment["refunded_minor"] if payment else 0
        if order["status"] == "paid":
            good = captured == order["total_minor"] and payment["currency"] == order["currency"] if payment else False
        else:
            good = captured - given_back == 0
        if not good:
            wrong.append({"order": order, "payment": payment})
    yield from some("money", "what is kept is not what the order's state says", wrong)
    known = {o["id"] for o in s["orders"]}
    orphans = [p for p in s["payments"] if p["order_id"] not in known and p["captured_minor"] > p["refunded_minor"]]
    yield from some("money", "money without an order", orphans)


def ledger(s: Snapshot, at_rest: bool) -> Iterator[Violation]:
    yield from some("ledger", "a transaction does not sum to zero", s["ledger_sums"])
    yield from some("ledger", "the service may change what is written", s["ledger_rights"])
    triggers = {trigger["name"]: trigger["deferred"] for trigger in s["ledger_triggers"]}
    wanted = {"ledger_balanced": True, "ledger_entries_append_only": False}
    yield from some("ledger", "a trigger is not in force", [name for name, deferred in wanted.items() if triggers.get(name) is not deferred])
    if not at_rest:
        return
    ours = collections.Counter()
    for entry in s["cash"]:
        ours[(str(entry["transaction_id"]), entry["currency"])] += entry["amount_minor"]
    theirs: collections.Counter = collections.Counter()
    for line in s.statement:
        if line["kind"] in ("capture", "refund"):
            sign = 1 if line["kind"] == "capture" else -1
            theirs[(line["uuid"], line["currency"])] += sign * line["amount_minor"]
    differences = [
        {"transaction": key, "ours": ours[key], "provider": theirs[key]}
        for key in set(ours) | set(theirs)
        if ours[key] != theirs[key]
    ]
    yield from some("ledger", "our cash account is not the provider's statement", differences)


def liveness(s: Snapshot, at_rest: bool) -> Iterator[Violation]:
    def ripe(row: dict[str, Any]) -> bool:
        return at_rest or row["quiet"]

    yield from some("liveness", "an order waits", [o for o in s["orders"] if o["status"] not in SETTLED and ripe(o)])
    yield from some(
        "liveness",
        "an attempt is open",
        [a for a in s["attempts"] if a["status"] in ("started", "unknown") and ripe(a)],
    )
    yield from some(
        "liveness",
        "a refund is open",
        [r for r in s["refunds"] if r["status"] in ("pending", "unknown") and ripe(r)],
    )
    yield from some(
        "liveness",
        "a delivery is open",
        [d for d in s["deliveries"] if d["status"] not in ("sent", "suppressed", "failed") and ripe(d)],
    )
    if not at_rest:
        return
    yield from some(
        "liveness",
        "an outbox is not empty",
        [{"database": name, **row} for name, row in s.outboxes.items() if row["rows"] > 0],
    )
    yield from some(
        "liveness",
        "a queue is not empty",
        [
            {"queue": name, "messages": count}
            for name, (purpose, count) in s.queues.items()
            if count > 0 and purpose != "unconsumed"
        ],
    )
    # A reservation without an order is held until its deadline; with a settled order it has ended.
    settled = {o["reservation_id"]: o["status"] for o in s["orders"] if o["status"] in SETTLED}
    yield from some(
        "liveness",
        "stock is held for nobody",
        [r for r in s["reservations"] if r["state"] == "active" and (r["overdue"] or r["id"] in settled)],
    )


def exactly_once(s: Snapshot, at_rest: bool) -> Iterator[Violation]:
    yield from some(
        "exactly-once",
        "a reservation moved stock twice",
        [m for m in s["reservation_movements"] if m["times"] > 1],
    )
    moved = {(m["reservation_id"], m["variant_id"], m["kind"]): m["delta"] for m in s["reservation_movements"]}
    wrong = []
    for line in s["reservation_lines"]:
        key = (line["reservation_id"], line["variant_id"])
        sale, restock = moved.get((*key, "sale"), 0), moved.get((*key, "restock"), 0)
        expected = {
            "active": (0, 0),
            "released": (0, 0),
            "committed": (-line["quantity"], 0),
            "restocked": (-line["quantity"], line["quantity"]),
        }[line["state"]]
        if (sale, restock) != expected:
            wrong.append({"line": line, "sale": sale, "restock": restock})
    yield from some("exactly-once", "the journal does not tell what the reservations did", wrong)
    yield from some(
        "exactly-once",
        "an order's history tells one step twice",
        [h for h in s["history"] if h["times"] > 1 and h["type"] != "order.cancel_requested"],
    )
    yield from some("exactly-once", "an order took a step that no rule allows", s["steps"])
    unclaimed = s["order_effects_unclaimed"] + s["payment_effects_unclaimed"] + s["delivery_effects_unclaimed"]
    yield from some("exactly-once", "an effect without the inbox row of its event", unclaimed)
    reservations = {r["id"]: r for r in s["reservations"]}
    crossed = []
    for order in s["orders"]:
        reservation = reservations.get(order["reservation_id"])
        if order["status"] not in SETTLED or not (at_rest or (order["quiet"] and reservation and reservation["quiet"])):
            continue
        if reservation is None or reservation["state"] not in STOCK_OF[order["status"]]:
            crossed.append({"order": order, "reservation": reservation})
    yield from some("exactly-once", "an order's stock is not where its state says", crossed)


def idempotency(s: Snapshot, _: bool) -> Iterator[Violation]:
    held = [c for c in s["claims"] if c["order_id"]]
    by_order = collections.Counter(c["order_id"] for c in held)
    by_origin = collections.Counter(c["origin"] for c in held)
    yield from some("idempotency", "two claims for one order", [o for o, n in by_order.items() if n > 1])
    yield from some("idempotency", "two orders from one key", [o for o, n in by_origin.items() if n > 1])
    claims = {c["order_id"]: c["reservation_id"] for c in held}
    yield from some(
        "idempotency",
        "an order without its own claim",
        [o for o in s["orders"] if claims.get(o["id"]) != o["reservation_id"]],
    )
    known = {o["id"] for o in s["orders"]}
    yield from some("idempotency", "a claim for an order that is gone", [c for c in held if c["order_id"] not in known])
    sold = {r["id"] for r in s["reservations"] if r["state"] in ("committed", "restocked")}
    ours = {o["reservation_id"] for o in s["orders"]}
    yield from some("idempotency", "stock sold without an order", sorted(str(r) for r in sold - ours))


def mail(s: Snapshot, at_rest: bool) -> Iterator[Violation]:
    pairs = collections.Counter((d["subject"], d["kind"]) for d in s["deliveries"])
    yield from some("mail", "two deliveries of one kind for one subject", [p for p, n in pairs.items() if n > 1])
    if not at_rest:
        return
    arrived = collections.Counter(m["message_id"].strip("<>") for m in s.mails)
    sent = {d["message_id"].strip("<>"): d for d in s["deliveries"] if d["status"] == "sent"}
    yield from some("mail", "sent and never arrived", [d for key, d in sent.items() if arrived[key] == 0])
    known = {d["message_id"].strip("<>") for d in s["deliveries"]}
    yield from some("mail", "a mail that no delivery tells of", [m for m in arrived if m not in known])
    told = {(d["subject"], d["kind"]) for d in s["deliveries"]}
    kinds = {"paid": "order_paid", "payment_failed": "payment_failed", "cancelled": "order_cancelled"}
    missing = [o for o in s["orders"] if o["status"] in kinds and (type_id("ord", o["id"]), kinds[o["status"]]) not in told]
    yield from some("mail", "an order whose end was never mailed", missing)
    unmailed = [r for r in s["refunds"] if r["status"] == "succeeded" and (type_id("rfd", r["id"]), "payment_refunded") not in told]
    yield from some("mail", "a refund that was never mailed", unmailed)
    unknown = [u for u in s["users"] if (type_id("usr", u["id"]), "user_registered") not in told]
    yield from some("mail", "a user who was never welcomed", unknown)
    yield from some("mail", "more mails came twice than senders were cut off", repeated_mails(s, arrived))


def repeated_mails(s: Snapshot, arrived: collections.Counter) -> list[Any]:
    """Mails that came more often than known failures explain, when they are more than the interruptions do."""
    if s.interruptions is None:
        return []
    tries = {d["message_id"].strip("<>"): 1 + d["failures"] for d in s["deliveries"]}
    repeats = {key: count - tries[key] for key, count in arrived.items() if count > tries.get(key, count)}
    return [repeats] if sum(repeats.values()) > s.interruptions * IN_DOUBT_MAX else []


def durability(s: Snapshot, told: list[str]) -> Iterator[Violation]:
    known = {type_id("ord", o["id"]) for o in s["orders"]}
    yield from some("durability", "an order that was answered 201 is gone", sorted(set(told) - known))


def type_id(prefix: str, uuid: Any) -> str:
    """TypeID 0.3: Crockford base32 of the 128 bits, 26 characters."""
    number, digits = uuid.int, ""
    for _ in range(26):
        digits = "0123456789abcdefghjkmnpqrstvwxyz"[number & 31] + digits
        number >>= 5
    return f"{prefix}_{digits}"
