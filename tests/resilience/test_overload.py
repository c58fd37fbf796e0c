"""The short form of the section "overload", and its pure parts."""

from __future__ import annotations

import collections
import dataclasses
import json

from tests.resilience.crowd import Crowd, crowd_of
from tests.resilience.section import Order
from tests.resilience.sections import overload
from tests.resilience.soak import Sample, grown, slope
from tests.steady import Asked

FULL = Crowd(requests=100, seconds=1.0, socket_errors=0, by_status=collections.Counter({201: 100}), without_retry_after=0,
             without_id=0, accepted_ms=[50.0] * 100)  # fmt: skip
AT_CAPACITY = overload.Capacity(FULL, FULL)
PROOF = overload.SIZES["proof"]
WELL = dataclasses.replace(FULL, requests=1000, by_status=collections.Counter({201: 80, 503: 900, 429: 20}), accepted_ms=[90.0] * 80)


def test_what_the_halves_of_the_crowd_were_answered_is_added_up() -> None:
    def half(**told: object) -> str:
        thread = {"by_status": {"201": 3, "503": 7}, "without_retry_after": 1, "without_id": 0, "accepted_ms": [1.0, 2.0, 3.0]}
        return "Running\n" + json.dumps({"requests": 10, "seconds": 2.0, "socket_errors": 2, "threads": [thread | told]}) + "\n"

    crowd = crowd_of([half(), half(by_status={"201": 1}, accepted_ms=[9.0])])
    assert (crowd.offered, crowd.accepted, crowd.socket_errors, crowd.without_retry_after) == (10.0, 2.0, 4, 2)
    assert crowd.by_status == {201: 4, 503: 7}
    assert (crowd.refused_share, crowd.ms(0.99)) == (0.8, 9.0)


def test_a_crowd_that_is_refused_early_is_well() -> None:
    assert overload.judge_crowd(PROOF, AT_CAPACITY, WELL) == []


def test_every_other_end_of_a_crowd_is_a_violation() -> None:
    worse = {
        "only 4.0 times": {"requests": 400},
        "collapse": {"by_status": collections.Counter({201: 20, 503: 980})},
        "p99 of what was accepted: 101 ms": {"accepted_ms": [60.0] * 70 + [101.0] * 10},
        "1 refusals without Retry-After": {"without_retry_after": 1},
        "3 connections broken": {"socket_errors": 3},
        "1 answers {500: 1}": {"by_status": collections.Counter({201: 80, 503: 919, 500: 1})},
        "2 answers without the request's id": {"without_id": 2},
    }
    for told, change in worse.items():
        found = overload.judge_crowd(PROOF, AT_CAPACITY, dataclasses.replace(WELL, **change))
        assert len(found) == 1 and told in found[0], found


def test_the_crowd_is_compared_with_the_capacity_that_favours_it() -> None:
    slower = dataclasses.replace(FULL, by_status=collections.Counter({201: 50}), accepted_ms=[80.0] * 50)
    both = overload.Capacity(FULL, slower)
    assert (both.accepted, both.p99) == (50.0, 80.0)
    nobody = overload.Capacity(dataclasses.replace(FULL, by_status=collections.Counter()), FULL)
    assert overload.judge_crowd(PROOF, nobody, WELL) == ["nothing was accepted at capacity"]


def test_a_hurt_shop_may_refuse_and_nothing_else() -> None:
    def one(status: int | None, retry_after: bool) -> Asked:
        return Asked("buy", 0.0, 0.1, status, retry_after=retry_after)

    assert overload.refused_badly([one(201, False), one(503, True), one(429, True)]) == []
    assert len(overload.refused_badly([one(503, False), one(500, True), one(None, False), one(504, True)])) == 4


def samples(**held: object) -> list[Sample]:
    return [Sample(at=n * 10.0, held={name.replace("_", " "): value(n) for name, value in held.items()}) for n in range(40)]


def test_what_leaks_is_named_and_what_warms_up_is_not() -> None:
    steady = samples(MiB_of_a=lambda n: 50.0 + n % 2, descriptors_of_a=lambda n: 20.0)
    leaking = samples(MiB_of_a=lambda n: 50.0 + n, descriptors_of_a=lambda n: 20.0 + n, rows_of_a=lambda n: 1.0 + n / 40)
    warming = samples(MiB_of_a=lambda n: 20.0 + min(n, 9) * 3)
    assert grown(steady) == []
    assert [leak.name for leak in grown(leaking)] == ["MiB of a", "descriptors of a", "rows of a"]
    assert grown(warming) == []
    assert [leak.goes_at_rest for leak in grown(leaking)] == [False, True, False]


def test_what_is_counted_seldom_is_compared_where_it_was_counted() -> None:
    seldom = [Sample(n * 10.0, {"rows of a": 1.0 if n < 20 else 2.0} if n % 5 == 4 else {}) for n in range(40)]
    assert [str(leak).split(" (")[0] for leak in grown(seldom)] == ["rows of a: 1.00, later 2.00"]


def test_a_slope_is_by_the_hour() -> None:
    assert slope([(0.0, 10.0), (1800.0, 15.0), (3600.0, 20.0)]) == 10.0
    assert slope([(0.0, 10.0)]) == 0.0


def test_ten_times_too_much_is_refused_early_and_a_silent_provider_costs_no_order(tmp_path) -> None:
    section = overload.run(Order(seed=1, size="short", folder=tmp_path))
    assert section.violations == []
    assert section.figures["times as many asked"] >= overload.SIZES["short"].offered_factor_min
    assert section.figures["of them refused"] not in ("0%", "100%")
    assert section.figures["orders"] > 50
    assert any("provider says nothing" in line for line in section.lines)
