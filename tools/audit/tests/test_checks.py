"""Each check is seen refusing a planted fault; a clean world has no violation."""

from __future__ import annotations

import copy
import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from checks import IN_DOUBT_MAX, INVARIANTS, judge, type_id  # noqa: E402
from snapshot import Snapshot, uuid_of  # noqa: E402

ORDER, RESERVATION, VARIANT = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
PAYMENT, ATTEMPT, ORIGIN, USER = uuid.uuid4(), uuid.uuid4(), uuid.uuid4(), uuid.uuid4()


def clean() -> Snapshot:
    """One paid order of two units at 5.00."""
    return Snapshot(
        tables={
            "stock": [{"variant_id": VARIANT, "warehouse": "main", "on_hand": 8, "reserved": 0, "journal": 8, "active": 0}],
            "reservations": [
                {"id": RESERVATION, "origin": ORIGIN, "state": "committed", "overdue": False, "quiet": True}
            ],
            "reservation_movements": [
                {"reservation_id": RESERVATION, "variant_id": VARIANT, "kind": "sale", "times": 1, "delta": -2}
            ],
            "reservation_lines": [
                {"reservation_id": RESERVATION, "state": "committed", "variant_id": VARIANT, "quantity": 2}
            ],
            "orders": [
                {
                    "id": ORDER, "reservation_id": RESERVATION, "status": "paid", "total_minor": 1000,
                    "currency": "EUR", "quiet": True,
                }
            ],
            "claims": [{"reservation_id": RESERVATION, "origin": ORIGIN, "order_id": ORDER}],
            "history": [
                {"order_id": ORDER, "type": "order.placed", "times": 1},
                {"order_id": ORDER, "type": "order.paid", "times": 1},
            ],
            "steps": [],
            "order_effects_unclaimed": [],
            "payment_effects_unclaimed": [],
            "delivery_effects_unclaimed": [],
            "payments": [
                {
                    "id": PAYMENT, "order_id": ORDER, "status": "captured", "amount_minor": 1000,
                    "captured_minor": 1000, "refunded_minor": 0, "refund_pending_minor": 0, "currency": "EUR",
                    "closed": False, "quiet": True,
                }
            ],
            "attempts": [
                {"id": ATTEMPT, "payment_id": PAYMENT, "order_id": ORDER, "status": "captured", "quiet": True}
            ],
            "refunds": [],
            "ledger_sums": [],
            "cash": [{"transaction_id": ATTEMPT, "currency": "EUR", "amount_minor": 1000}],
            "deliveries": [
                {
                    "id": uuid.uuid4(), "subject": type_id("ord", ORDER), "kind": "order_paid", "status": "sent",
                    "message_id": "<m1@stoa>", "failures": 0, "quiet": True,
                },
                {
                    "id": uuid.uuid4(), "subject": type_id("usr", USER), "kind": "user_registered", "status": "sent",
                    "message_id": "<m2@stoa>", "failures": 0, "quiet": True,
                },
            ],
            "ledger_rights": [],
            "ledger_triggers": [
                {"name": "ledger_balanced", "deferred": True}, {"name": "ledger_entries_append_only", "deferred": False},
            ],
            "users": [{"id": USER}],
        },
        outboxes={"orders": {"rows": 0, "age": 0}},
        queues={"order-service.payment-results": ("work", 0), "stoa.unconsumed": ("unconsumed", 7)},
        statement=[{"kind": "capture", "uuid": str(ATTEMPT), "currency": "EUR", "amount_minor": 1000}],
        mails=[{"message_id": "<m1@stoa>"}, {"message_id": "<m2@stoa>"}],
        interruptions=0,
    )  # fmt: skip


def test_a_clean_world_has_no_violation() -> None:
    assert judge(clean(), at_rest=True, told=[type_id("ord", ORDER)]) == []
    assert judge(clean(), at_rest=False, told=[]) == []


def edit(table: str, **changes):
    def apply(s: Snapshot) -> None:
        s.tables[table][0].update(changes)

    return apply


def drop(table: str):
    return lambda s: s.tables[table].clear()


def repeat(table: str, **changes):
    def apply(s: Snapshot) -> None:
        s.tables[table].append(copy.deepcopy(s.tables[table][0]) | changes)

    return apply


FAULTS = {
    "negative stock": (edit("stock", on_hand=-1, journal=-1), "stock"),
    "journal differs": (edit("stock", journal=9), "stock"),
    "oversold": (edit("stock", reserved=9, active=9), "stock"),
    "reserved without reservation": (edit("stock", reserved=1), "stock"),
    "captured twice": (repeat("attempts", id=uuid.uuid4()), "money"),
    "paid but not captured": (edit("payments", captured_minor=0), "money"),
    "paid less than the total": (edit("payments", captured_minor=999), "money"),
    "cancelled but kept": (edit("orders", status="cancelled"), "money"),
    "refunds do not add up": (edit("payments", refunded_minor=100), "money"),
    "charged without an order": (drop("orders"), "money"),
    "open refund forgotten by the cap": (
        lambda s: s.tables["refunds"].append(
            {"id": uuid.uuid4(), "payment_id": PAYMENT, "amount_minor": 100, "status": "pending", "quiet": True}
        ),
        "money",
    ),
    "unbalanced ledger": (lambda s: s.tables["ledger_sums"].append({"transaction_id": ATTEMPT, "sum": 1}), "ledger"),
    "provider knows more": (lambda s: s.statement.append(s.statement[0] | {"uuid": str(uuid.uuid4())}), "ledger"),
    "provider knows less": (lambda s: s.statement.clear(), "ledger"),
    "stuck order": (edit("orders", status="pending"), "liveness"),
    "open attempt": (edit("attempts", status="unknown"), "liveness"),
    "full outbox": (lambda s: s.outboxes["orders"].update(rows=1), "liveness"),
    "dead letter": (lambda s: s.queues.update({"order-service.payment-results.dead": ("dead", 1)}), "liveness"),
    "stock held for a settled order": (edit("reservations", state="active"), "liveness"),
    "stock moved twice": (edit("reservation_movements", times=2, delta=-4), "exactly-once"),
    "sale without journal": (drop("reservation_movements"), "exactly-once"),
    "paid but stock released": (edit("reservations", state="released"), "exactly-once"),
    "a step told twice": (edit("history", times=2), "exactly-once"),
    "a step that no rule allows": (
        lambda s: s.tables["steps"].append({"order_id": ORDER, "before": "cancelled", "status": "paid"}),
        "exactly-once",
    ),
    **{
        f"{who} effect without its inbox row": (
            lambda s, who=who: s.tables[f"{who}_effects_unclaimed"].append({"subject": ORDER, "effect": "x", "at": "now"}),
            "exactly-once",
        )
        for who in ("order", "payment", "delivery")
    },
    "two orders from one key": (repeat("claims", order_id=uuid.uuid4(), reservation_id=uuid.uuid4()), "idempotency"),
    "order without claim": (drop("claims"), "idempotency"),
    "sold without an order": (drop("orders"), "idempotency"),
    "two mails of one kind": (repeat("deliveries", id=uuid.uuid4()), "mail"),
    "sent and never arrived": (lambda s: s.mails.clear(), "mail"),
    "an end never mailed": (drop("deliveries"), "mail"),
    "a mail that came twice": (lambda s: s.mails.append(s.mails[0]), "mail"),
    "a refund never mailed": (
        lambda s: s.tables["refunds"].append(
            {"id": uuid.uuid4(), "payment_id": PAYMENT, "amount_minor": 0, "status": "succeeded", "quiet": True}
        ), "mail"
    ),
    "a user never welcomed": (lambda s: s.tables["users"].append({"id": uuid.uuid4()}), "mail"),
    "a ledger that may be changed": (lambda s: s.tables["ledger_rights"].append({"privilege": "UPDATE"}), "ledger"),
    "a ledger without its trigger": (lambda s: s.tables["ledger_triggers"].pop(), "ledger"),
    "a ledger that nobody balances": (lambda s: s.tables["ledger_triggers"][0].update(deferred=False), "ledger"),
    "a mail from nowhere": (lambda s: s.mails.append({"message_id": "<x@y>"}), "mail"),
}


@pytest.mark.parametrize(("fault", "invariant"), FAULTS.values(), ids=FAULTS.keys())
def test_a_planted_fault_is_found_by_its_invariant(fault, invariant) -> None:
    world = clean()
    fault(world)
    found = judge(world, at_rest=True, told=[])
    assert invariant in {v.invariant for v in found}, found


def test_a_lost_order_is_found() -> None:
    gone = type_id("ord", uuid.uuid4())
    assert [v.invariant for v in judge(clean(), at_rest=True, told=[gone])] == ["durability"]


def test_every_invariant_has_a_planted_fault() -> None:
    assert {invariant for _, invariant in FAULTS.values()} | {"durability"} == set(INVARIANTS)


def test_what_is_still_under_way_is_not_judged_across_databases() -> None:
    world = clean()
    world.tables["orders"][0].update(quiet=False)
    world.tables["payments"][0].update(captured_minor=0)
    assert judge(world, at_rest=False, told=[]) == []


def test_a_mail_may_come_twice_where_its_try_failed_or_its_sender_died() -> None:
    twice = clean()
    twice.mails.append(twice.mails[0])
    twice.tables["deliveries"][0]["failures"] = 1
    assert judge(twice, at_rest=True, told=[]) == []
    died = clean()
    died.mails += [died.mails[0]] * IN_DOUBT_MAX
    died.interruptions = 1
    assert judge(died, at_rest=True, told=[]) == []
    died.mails.append(died.mails[0])
    assert [v.invariant for v in judge(died, at_rest=True, told=[])] == ["mail"]
    died.interruptions = None  # nobody counted: nothing can be said
    assert judge(died, at_rest=True, told=[]) == []


def test_a_foreign_key_of_the_provider_is_what_reconcile_books_it_under() -> None:
    """The same as crypto::name_based_uuid, which servicekit/crypto/tests holds to these bytes."""
    assert uuid_of("ch_1") == "0d7547fd-74bf-8831-ab9c-14df9e5aa4f6"
    assert uuid_of("att_01h455vb4pex5vsknk084sn02q") == "01890a5d-ac96-774b-bcce-b302099a8057"
