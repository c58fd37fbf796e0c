"""Each defence of the platform is switched off once, and tools/audit, or a client, must notice.

A mutant is a switch of the testing build (STOA_MUTANT); tools/mutants lists them from the sources. Its
play is driven twice: without the mutant the platform must end clean, with it something must be found. The
first finding ends a mutant's run. One that nobody notices is a defect of the checker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import time
from collections.abc import Callable

import httpx

from stack import Stack
from tests.resilience.mutant_plays import Finding, Play
from tests.resilience.mutant_scenarios import SCENARIOS, Scenario
from tests.resilience.mutant_stage import ENVIRONMENT, Stage
from tests.resilience.section import Order, Section
from tests.shop import eventually

TITLE = "mutants that must be caught"
CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
PAGE = CHECKOUT / "docs" / "proofs" / "mutants.md"
# What one database says of itself in one snapshot needs no second look; what waits is late only after a while.
AT_ONCE = {"stock", "idempotency", "durability"}
AT_ONCE_TOO = {
    "more than one successful capture",
    "a payment's refunds do not add up",
    "a payment's open refunds do not count against its cap",
    "more given back than was captured",
    "a transaction does not sum to zero",
    "a reservation moved stock twice",
    "the journal does not tell what the reservations did",
    "an order took a step that no rule allows",
    "an effect without the inbox row of its event",
    "more mails came twice than senders were cut off",
}
STAYS_SECONDS = 4.0
LATE_SECONDS = 10.0
REST_SECONDS = 30.0  # what the promise gives a sound platform to come to rest
LOOK_SECONDS = 12.0  # beyond what a finding must last
LOOK_PAUSE = 0.2

Key = tuple[str, str]


def names_in_sources() -> list[str]:
    listing = subprocess.run([CHECKOUT / "tools/mutants"], check=True, capture_output=True, text=True).stdout
    return [mutant["name"] for mutant in json.loads(listing)]


def chosen(size: str) -> list[str]:
    """All of them, or for the short form the few that `make test` tries."""
    return sorted(name for name, scenario in SCENARIOS.items() if size != "short" or scenario.short)


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a violation must be seen before it counts: between two databases, and of something that waits."""

    across: float
    waits: float

    def with_(self, key: Key) -> float:
        if key[0] in AT_ONCE or key[1] in AT_ONCE_TOO:
            return 0.0
        return self.waits if key[0] == "liveness" else self.across


def patience(heals: float, settled: float | None) -> Patience:
    """`heals`: seconds for which something may wait after the play. `settled`: what the platform needed without
    the mutant, here and now, so that a slow machine is not taken for a finding; None while that is measured."""
    if settled is None:
        return Patience(heals + REST_SECONDS, heals + REST_SECONDS)
    slow = 2 * max(0.0, settled - heals)
    return Patience(max(STAYS_SECONDS, slow), max(LATE_SECONDS, heals + slow))


def first_that_stays(
    look: Callable[[], set[Key] | None],
    wanted: Patience,
    until_clean: bool,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Key | None:
    """The first violation that every look sees for as long as it is wanted to last; None when there is none.
    `until_clean`: a look that sees nothing at all is the end of it."""
    end = clock() + wanted.waits + LOOK_SECONDS
    since: dict[Key, float] = {}
    while clock() < end or since:
        began = clock()
        found = look()
        if found is None:  # a part is away for a moment, or a database
            since = {}
        elif until_clean and not found:
            return None
        else:
            since = {key: since.get(key, clock()) for key in sorted(found)}
            if began >= end:  # what was seen in time is looked at until it has lasted or is gone
                since = {key: first for key, first in since.items() if first < end}
            for key, first in since.items():
                # What counts at once counts in the look that sees it first.
                if wanted.with_(key) == 0 or began - first >= wanted.with_(key):
                    return key
        sleep(LOOK_PAUSE)
    return None


@dataclasses.dataclass
class Run:
    finding: Finding | None
    seconds: float
    settled: float  # seconds of it behind the play
    stumbled: str = ""  # what the play's own client could not do

    def is_clean(self) -> bool:
        return not self.finding and not self.stumbled

    def trouble(self) -> str:
        found = f"{self.finding.invariant}: {self.finding.what} ({self.finding.by})" if self.finding else ""
        return " and ".join(filter(None, (found, self.stumbled)))


def prepared(make: Callable[[], Play]) -> Play:
    """As often as a client must ask whose platform has just started and may be busy: nothing is tried yet."""

    def made() -> Play | None:
        with contextlib.suppress(AssertionError, httpx.HTTPError):
            return make()
        return None

    return eventually(made, within=REST_SECONDS, what="a buyer, a product and staff")


def run_play(stage: Stage, scenario: Scenario, mutant: str | None, settled: float | None) -> Run:
    play = prepared(lambda: Play(stage, scenario.service, {"STOA_MUTANT": mutant} if mutant else {}))
    play.begin(scenario.environment)
    began, stumbled = time.monotonic(), ""
    try:
        scenario.drive(play)
    except (AssertionError, httpx.HTTPError) as error:
        stumbled = f"{type(error).__name__}: {error}"
    driven = time.monotonic()
    if play.findings:
        return Run(play.findings[0], driven - began, 0.0, stumbled)

    def look() -> set[Key] | None:
        violations = stage.audit(list(play.placed))
        return None if violations is None else {(v["invariant"], v["what"]) for v in violations}

    key = first_that_stays(look, patience(scenario.heals, settled), until_clean=mutant is None)
    finding = Finding(*key, "audit") if key else None
    return Run(finding, time.monotonic() - began, time.monotonic() - driven, stumbled)


def run(order: Order) -> Section:
    section = Section()
    in_sources = set(names_in_sources())
    section.violations += [f"{name}: no scenario" for name in sorted(in_sources - set(SCENARIOS))]
    section.violations += [f"{name}: a scenario of no mutant" for name in sorted(set(SCENARIOS) - in_sources)]
    names = [name for name in chosen(order.size) if name in in_sources]
    with Stack(profile="proof", environment=ENVIRONMENT) as stack:
        stage = Stage(stack)
        clean = {name: control(stage, name, order, section) for name in names}
        runs: dict[str, Run] = {}
        for name in names:
            if runs:
                stage.put_back()  # what the one before has spoilt
            runs[name] = trial(stage, name, clean[name].settled, order, section)
    caught = [run for run in runs.values() if run.finding]
    section.figures = {
        "mutants in the sources": len(in_sources),
        "tried": len(runs),
        "caught": len(caught),
        "plays that end clean without their mutant": sum(clean[name].is_clean() for name in names),
    }
    if caught:
        seconds = sorted(run.seconds for run in caught)
        section.lines = [
            f"Caught after {seconds[len(seconds) // 2]:.1f} s (median), {seconds[-1]:.1f} s (longest). "
            "[Each mutant](mutants.md): what it switches off, and the invariant that it was caught by."
        ]
    if order.size != "short":
        PAGE.write_text(page(clean, runs))
    return section


def page(clean: dict[str, Run], runs: dict[str, Run]) -> str:
    lines = [
        "# Mutants",
        "",
        "Each switches off one defence of a testing build while a short play provokes what the defence is for, and the first "
        "finding ends its run: of [`tools/audit`](../../tools/audit/README.md), or of a client for what only clients see. The same "
        "play without the mutant must end clean. Seconds are of the play with what its judge needed, on a stack that runs. Generated by "
        "`make prove`: the list comes from the sources (`tools/mutants`), and a mutant that nobody catches is a violation.",
        "",
        "| mutant | switched off: | without it | caught by | finding | s |",
        "|---|---|---|---|---|--:|",
    ]
    for name, done in runs.items():
        without = f"clean in {clean[name].seconds:.1f} s" if clean[name].is_clean() else f"**{clean[name].trouble()}**"
        who = f"{done.finding.invariant} ({done.finding.by})" if done.finding else "**nobody**"
        what = done.finding.what if done.finding else ""
        lines.append(f"| `{name}` | {SCENARIOS[name].defence} | {without} | {who} | {what} | {done.seconds:.1f} |")
    return "\n".join(lines) + "\n"


def control(stage: Stage, name: str, order: Order, section: Section) -> Run:
    scenario = SCENARIOS[name]
    done = run_play(stage, scenario, None, None)
    order.say(f"{name} without the mutant: {done.trouble() or 'clean'} in {done.seconds:.1f} s")
    if done.is_clean():
        stage.stack.restart(scenario.service)
    else:
        section.violations.append(f"{name}: without the mutant its play ends with {done.trouble()}")
        stage.put_back()
    return done


def trial(stage: Stage, name: str, settled: float, order: Order, section: Section) -> Run:
    done = run_play(stage, SCENARIOS[name], name, settled)
    order.say(f"{name}: {done.finding or 'SURVIVES'} in {done.seconds:.1f} s {done.stumbled}")
    if not done.finding:
        section.violations.append(f"{name}: survives, and the checker sees nothing {done.stumbled}".rstrip())
    return done
