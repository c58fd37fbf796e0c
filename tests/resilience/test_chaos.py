"""Seeded chaos: its pure parts, and its short form on a real stack."""

from __future__ import annotations

import collections
import dataclasses
import random
import subprocess
import time

import httpx
import pytest

from tests.resilience.chaos.errands import errand
from tests.resilience.chaos.faults import Away, compile_clock
from tests.resilience.chaos.load import Gate
from tests.resilience.chaos.schedule import BOTH, LINK_KINDS, PROCESS_KINDS, SERVERS, SERVICES, every_fault, schedule
from tests.resilience.chaos.witness import Lost, Witness
from tests.resilience.section import Order
from tests.resilience.sections import chaos

PROOF = chaos.SIZES["proof"]


def planned(seed: int) -> list:
    return schedule(seed, PROOF.faults, PROOF.orders, PROOF.long_share)


def test_a_seed_has_one_schedule_and_another_seed_another() -> None:
    assert planned(7) == planned(7)
    assert planned(7) != planned(8)


def test_a_seed_has_one_list_of_errands_and_another_seed_another() -> None:
    def errands(seed: int) -> list:
        return [errand(seed, number, 48, 8, 16) for number in range(300)]

    assert errands(7) == errands(7)
    assert errands(7) != errands(8)


def test_the_proof_has_at_least_200_faults_and_10_000_orders_and_begins_all_faults_inside_the_load() -> None:
    bouts = planned(1)
    assert sum(len(bout.faults) for bout in bouts) == PROOF.faults >= 200
    begins = [bout.at_order for bout in bouts]
    assert begins == sorted(set(begins))
    assert 0 < begins[0] and begins[-1] < PROOF.orders >= 10_000


def test_every_kind_meets_every_part_with_one_replica_and_with_both() -> None:
    faults = [fault for bout in planned(3) for fault in bout.faults]
    met = {(fault.kind, fault.target, len(fault.replicas)) for fault in faults}
    assert {(kind, service, n) for kind in PROCESS_KINDS for service in SERVICES for n in (1, 2)} <= met
    assert {(kind, server, 1) for kind in PROCESS_KINDS for server in SERVERS} <= met
    shifts = {(fault.target, amount) for fault in faults if fault.kind == "clock" for _, amount in fault.amounts}
    assert shifts == {(service, shift) for service in SERVICES for shift in (300, -300)}
    for server in (*SERVERS, "payment-simulator"):
        assert {f.kind for f in faults if f.target.endswith(f">{server}-*")} == set(LINK_KINDS)
    assert {"disk_full", "webhooks"} <= {fault.kind for fault in faults}


def test_a_short_schedule_has_every_kind_once() -> None:
    faults = [fault for bout in schedule(5, 16, 300, 0.0) for fault in bout.faults]
    assert len(faults) == 16
    assert {fault.kind for fault in faults} == {fault.kind for fault in every_fault(random.Random(1), 0.0)}
    assert max(fault.seconds for fault in faults) < 4


def test_faults_that_hold_together_never_share_a_part_or_a_link() -> None:
    pairs = 0
    for seed in range(40):
        for bout in planned(seed):
            if len(bout.faults) == 2:
                pairs += 1
                one, other = bout.faults
                assert one.target != other.target
                if ">" in one.target and ">" in other.target:
                    assert one.target.split(">")[1] != other.target.split(">")[1]
    assert pairs > 40 * 20


def test_both_means_both() -> None:
    assert {fault.replicas for fault in every_fault(random.Random(2), 0.0) if fault.target == "order-service"} >= {BOTH}


@pytest.mark.parametrize("offset", [300, -300, 0])
def test_a_shifted_clock_is_off_by_what_was_asked_for(offset, tmp_path) -> None:
    environment = {"LD_PRELOAD": str(compile_clock(tmp_path)), "SHIFTED_CLOCK_SECONDS": str(offset)}
    told = subprocess.run(["date", "+%s"], env=environment, capture_output=True, text=True, check=True).stdout
    assert abs(int(told) - time.time() - offset) < 5


def answered(witness: Witness, asked: str, status: int, code: str = "", **headers: str) -> list[str]:
    body = {"code": code} if code else {}
    witness.answer(asked, httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}))
    return witness.violations([])


@pytest.mark.parametrize(
    ("asked", "status", "code", "headers"),
    [
        ("order", 201, "", {}),
        ("order", 503, "unavailable", {"retry_after": "1"}),
        ("order", 429, "rate_limited", {"retry_after": "3"}),
        ("order", 409, "out_of_stock", {}),
        ("see order", 200, "", {}),
        ("cancel", 409, "invalid_state", {}),
        ("foreign order", 404, "order_not_found", {}),
    ],
)
def test_answers_that_a_client_may_see(asked, status, code, headers) -> None:
    assert answered(Witness(), asked, status, code, **headers) == []


@pytest.mark.parametrize(
    ("asked", "status", "code", "headers"),
    [
        ("order", 500, "internal", {}),
        ("order", 502, "", {"retry_after": "1"}),
        ("order", 503, "unavailable", {}),
        ("order", 429, "rate_limited", {"retry_after": "soon"}),
        ("order", 404, "variant_not_found", {}),
        ("see order", 404, "order_not_found", {}),
        ("see order", 401, "token_expired", {}),
        ("foreign order", 200, "", {}),
        ("order, key reused", 201, "", {}),
    ],
)
def test_answers_that_no_client_may_see(asked, status, code, headers) -> None:
    assert len(answered(Witness(), asked, status, code, **headers)) == 1


def test_one_key_with_two_bodies_is_told() -> None:
    witness = Witness()
    witness.one_body("k", b"one")
    witness.one_body("k", b"one")
    assert witness.violations([]) == []
    witness.one_body("k", b"two")
    assert len(witness.violations([])) == 1


LOST = Lost("order", gateway=1, begin=10.0, end=11.0, error="ReadError", patient=True)


@pytest.mark.parametrize(
    ("lost", "away", "violations"),
    [
        (LOST, Away(1, 10.5, 12.0), 0),
        (LOST, Away(1, 10.5), 0),
        (LOST, Away(1, 11.5, 12.0), 1),
        (LOST, Away(1, 8.0, 9.5), 1),
        (LOST, Away(2, 10.5, 12.0), 1),
        (dataclasses.replace(LOST, error="ReadTimeout"), Away(2, 10.5, 12.0), 1),
        (dataclasses.replace(LOST, error="ReadTimeout", patient=False), Away(2, 10.5, 12.0), 0),
    ],
)
def test_no_answer_is_excused_by_the_absence_of_the_gateway_that_was_asked(lost, away, violations) -> None:
    witness = Witness()
    witness.no_answer(lost)
    assert len(witness.violations([away])) == violations


def test_the_gate_counts_to_its_limit_and_lets_others_through_beyond_the_count() -> None:
    gate = Gate(count=100, per_second=1e9)
    gate.open_to(2)
    assert [gate.next() for _ in range(4)] == [0, 1, 100, 101]
    gate.open_to(3)
    assert gate.next() == 2
    gate.close()
    assert gate.next() is None


def test_short_chaos_violates_nothing(tmp_path) -> None:
    section = chaos.run(Order(seed=20, size="short", folder=tmp_path))
    assert section.violations == []
    size = chaos.SIZES["short"]
    assert section.figures["faults"] == size.faults
    assert section.figures["orders placed"] >= size.orders
    assert section.figures["orders accepted"] > size.orders // 2
    kinds = collections.Counter(line.split("|")[1].strip() for line in section.lines if line.count("|") == 6)
    assert {"kill", "pause", "cut", "latency", "disk_full", "clock", "webhooks"} <= set(kinds)
