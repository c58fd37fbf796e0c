"""Some of the mutants, drawn by a seed, are caught; and the parts of that section that need no stack."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from tests.resilience.mutant_scenarios import SCENARIOS
from tests.resilience.section import Order
from tests.resilience.sections import mutants

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
LATE = ("liveness", "an order waits")
CROSSED = ("ledger", "our cash account is not the provider's statement")
EXACT = ("stock", "the journal does not sum to on_hand")


def test_a_few_mutants_are_caught_and_their_plays_are_clean_without_them(tmp_path) -> None:
    section = mutants.run(Order(seed=1, size="short", folder=tmp_path))
    few = len(mutants.chosen("short"))
    assert section.violations == []
    assert section.figures == {
        "mutants in the sources": len(SCENARIOS),
        "tried": few,
        "caught": few,
        "plays that end clean without their mutant": few,
    }


def test_each_mutant_of_the_sources_has_a_scenario() -> None:
    assert mutants.names_in_sources() == sorted(SCENARIOS)
    assert len(SCENARIOS) >= 15


def test_the_proof_tries_all_and_the_short_form_one_of_each_part() -> None:
    assert mutants.chosen("proof") == mutants.chosen("long") == sorted(SCENARIOS)
    assert len(mutants.chosen("short")) >= 5
    assert {name.split(".")[0] for name in mutants.chosen("short")} >= {"consumer", "order", "payment", "product"}


class World:
    """`sees` tells what the look of a second sees; each takes `look_seconds`."""

    def __init__(self, sees, look_seconds: float) -> None:
        self.now, self.sees, self.look_seconds = 0.0, sees, look_seconds

    def clock(self) -> float:
        return self.now

    def look(self) -> set | None:
        seen = self.sees(self.now)
        self.now += self.look_seconds
        return seen

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def judged(sees, until_clean: bool = False, settled: float | None = 1.0, look_seconds: float = 1.0) -> tuple:
    world = World(sees, look_seconds)
    wanted = mutants.patience(0.0, settled)
    found = mutants.first_that_stays(world.look, wanted, until_clean, world.clock, world.sleep)
    return found, world.now


def test_what_one_database_says_of_itself_counts_at_once() -> None:
    assert judged(lambda _: {EXACT}) == (EXACT, 1.0)


def test_what_is_true_across_databases_counts_when_it_stays() -> None:
    found, seconds = judged(lambda _: {CROSSED})
    assert found == CROSSED
    assert 4.0 <= seconds < 9.0
    assert judged(lambda now: {CROSSED} if now < 3 else set())[0] is None


def test_what_waits_counts_when_it_is_late() -> None:
    found, seconds = judged(lambda _: {LATE})
    assert found == LATE
    assert 10.0 <= seconds < 15.0
    assert judged(lambda now: {LATE} if now < 9 else set())[0] is None


def test_a_slow_machine_is_given_what_it_needs_without_the_mutant() -> None:
    assert judged(lambda now: {CROSSED} if now < 12 else set())[0] == CROSSED
    assert judged(lambda now: {CROSSED} if now < 12 else set(), settled=7.0)[0] is None
    assert judged(lambda _: {CROSSED}, settled=7.0)[0] == CROSSED


def test_slow_looks_see_what_lasts_and_nothing_that_is_new_for_ever() -> None:
    assert judged(lambda _: {LATE}, look_seconds=9.0)[0] == LATE
    assert judged(lambda now: {("liveness", f"order {now // 12}")}, look_seconds=9.0)[0] is None


def test_without_the_mutant_there_is_the_time_of_the_promise_for_what_heals_alone() -> None:
    assert judged(lambda now: {LATE} if now < 25 else set(), until_clean=True, settled=None)[0] is None
    assert judged(lambda _: {LATE}, until_clean=True, settled=None)[0] == LATE
    assert judged(lambda now: {EXACT} if now < 1 else set(), until_clean=True, settled=None)[0] == EXACT


def test_a_finding_that_comes_and_goes_begins_anew() -> None:
    assert judged(lambda now: {CROSSED} if int(now) % 6 < 3 else set())[0] is None


def test_an_audit_that_cannot_look_finds_nothing() -> None:
    assert judged(lambda _: None)[0] is None


def test_a_clean_look_ends_the_run_without_a_mutant_alone() -> None:
    assert judged(lambda _: set(), until_clean=True) == (None, 1.0)
    assert judged(lambda _: set())[1] > 20


USE = """
#include "servicekit/runtime/mutant.hpp"
namespace stoa::runtime {
int defended(int x) { return mutant<"some.defence_off">() ? 0 : x; }
std::string_view statement() { return mutant_sql<"some.sql_off">("SELECT kept", "kept", "OTHERWISE"); }
}
"""


def test_the_page_tells_of_each_mutant_and_what_caught_it() -> None:
    clean, noisy = mutants.Run(None, 2.0, 1.0), mutants.Run(mutants.Finding(*LATE, "audit"), 40.0, 39.0, "a client fell")
    caught = mutants.Run(mutants.Finding(*EXACT, "audit"), 1.0, 0.5)
    page = mutants.page(
        {"order.inbox_off": clean, "order.key_apart": noisy}, {"order.inbox_off": caught, "order.key_apart": clean}
    )
    assert "| clean in 2.0 s | stock (audit) | the journal does not sum to on_hand | 1.0 |" in page
    assert "| **liveness: an order waits (audit) and a client fell** | **nobody** |  | 2.0 |" in page


@pytest.mark.parametrize(("flags", "is_there"), [([], False), (["-DSTOA_TESTING"], True)], ids=["release", "testing"])
def test_a_release_has_nothing_of_a_mutant(flags, is_there, tmp_path) -> None:
    source, unit = tmp_path / "use.cpp", tmp_path / "use.o"
    source.write_text(USE)
    subprocess.run(
        ["g++", "-std=c++23", "-O2", f"-I{CHECKOUT}", *flags, "-c", str(source), "-o", str(unit)], check=True
    )
    code = unit.read_bytes()
    assert b"SELECT kept" in code
    assert [trace in code for trace in (b"defence_off", b"OTHERWISE", b"enlist_mutant")] == [is_there] * 3
