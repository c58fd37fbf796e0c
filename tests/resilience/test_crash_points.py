"""Every crash point of the sources is visited, and nothing is lost at any of them (the short form: without pairs)."""

from __future__ import annotations

import pytest

from stack import Stack
from tests.resilience import crash, crash_commands, crash_paths
from tests.resilience.crash import QUICK

COMMANDS = [point for point in crash.points() if point.startswith(crash.BY_COMMAND)]


@pytest.fixture(scope="module")
def proof_stack():
    with Stack(profile="proof", environment=QUICK) as running:
        yield running


@pytest.mark.parametrize("place", crash.places(), ids=str)
def test_a_crash_loses_nothing_at(place, proof_stack, proof_shop, record_property) -> None:
    seen = crash.visit(proof_stack, proof_shop, [place])
    assert seen.places == [place]
    record_property("healed_seconds", round(seen.seconds, 1))


@pytest.mark.parametrize("point", COMMANDS)
def test_an_operators_command_may_be_cut_at(point, proof_stack, proof_shop) -> None:
    crash_commands.visit_by_command(proof_stack, proof_shop, point)


def test_a_refund_settled_by_hand_closes_the_order(proof_stack, proof_shop) -> None:
    crash_commands.settle_a_refund(proof_stack, proof_shop, None)


def test_every_point_is_visited_and_told_of() -> None:
    visited = {place.point for place in crash.places()} | set(COMMANDS)
    assert visited == set(crash.points()) and COMMANDS
    assert all(crash.healed_by(point) for point in crash.points())
    unused = set(crash.HEALED_BY) - {max((s for s in crash.HEALED_BY if p.startswith(s)), key=len) for p in crash.points()}
    assert not unused, "who heals what nobody breaks?"


def test_the_paths_pass_every_point_and_pairs_are_neighbours() -> None:
    assert crash_paths.missing() == []
    pairs = crash_paths.neighbours()
    assert len(pairs) == len(set(pairs)) > 60
    assert {place.point for pair in pairs for place in pair} | {"consumer.before_reroute_confirm"} == {
        place.point for place in crash.places()
    }


def test_a_point_that_nobody_reaches_is_told(proof_stack, proof_shop, monkeypatch) -> None:
    monkeypatch.setattr(crash, "REACH_SECONDS", 3.0)
    with pytest.raises(AssertionError, match="no scenario reaches"):
        crash.visit(proof_stack, proof_shop, [crash.Place("order.nowhere.before_commit", "order-service")])
