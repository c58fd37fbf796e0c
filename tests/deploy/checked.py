"""A list of what the checks of deploy/ looked at, printed at the end of the run, and one of what they refused.

    def test_every_chart_renders(checked):
        for chart in checked("charts", CHARTS): ...

`checked(kind, things)` hands the things back as a list. No thing is a failure: a check that finds nothing to
check proves nothing. `refused(kind, plant, said, text)` is for a fault that was planted: it asserts that `text`, what
the tool told, holds `said` (a pattern where it is one), and keeps the first such line for build/test-results/refused.txt.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
LOOKED_AT: dict[str, set[str]] = {}
REFUSED = CHECKOUT / "build/test-results/refused.txt"
LINE_MAX, PLANT_MAX = 200, 100
ANYTHING = re.compile(r"^(?!.*\.\.\.ERROR$).*\S")  # any complaint; kubectl-validate begins with the file and this word
lines_of_refusals: list[str] = []

Thing = TypeVar("Thing")
Checked = Callable[[str, Iterable[Thing]], list[Thing]]


def note(kind: str, things: Iterable[Thing]) -> list[Thing]:
    """Records `things` under `kind`; fails the test when there is none."""
    found = list(things)
    if not found:
        pytest.fail(f"no {kind} found: a check that finds nothing checks nothing")
    LOOKED_AT.setdefault(kind, set()).update(str(thing) for thing in found)
    return found


@pytest.fixture(scope="session")
def checked() -> Checked:
    return note


Refused = Callable[[str, str, "str | re.Pattern[str]", "str | Iterable[str]"], None]


def note_refusal(kind: str, plant: str, said: str | re.Pattern[str], text: str | Iterable[str]) -> None:
    found = text.splitlines() if isinstance(text, str) else list(text)
    pattern = said if isinstance(said, re.Pattern) else re.compile(re.escape(said))
    line = next((line for line in found if pattern.search(line)), None)
    assert line is not None, f"{plant}: no {pattern.pattern!r} in\n" + "\n".join(found)
    note(kind, [plant])
    shown = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
    lines_of_refusals.append(f"{kind}: {' '.join(plant.split())[:PLANT_MAX]}: {shown[:LINE_MAX]}")


@pytest.fixture(scope="session")
def refused() -> Refused:
    return note_refusal


def pytest_sessionfinish(session) -> None:
    """Of a worker (pytest-xdist): what it saw goes to whoever prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["looked_at"] = {kind: sorted(things) for kind, things in LOOKED_AT.items()}
        session.config.workeroutput["refusals"] = lines_of_refusals


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    for kind, things in getattr(node, "workeroutput", {}).get("looked_at", {}).items():
        LOOKED_AT.setdefault(kind, set()).update(things)
    lines_of_refusals.extend(getattr(node, "workeroutput", {}).get("refusals", []))


def pytest_terminal_summary(terminalreporter) -> None:
    if hasattr(terminalreporter.config, "workeroutput"):
        return
    if lines_of_refusals:
        REFUSED.write_text("\n".join(sorted(lines_of_refusals)) + "\n")
    if LOOKED_AT:
        terminalreporter.section("checked")
    for kind, things in sorted(LOOKED_AT.items()):
        terminalreporter.write_line(f"{len(things):6d} {kind}")
    if lines_of_refusals:
        terminalreporter.write_line(f"{len(lines_of_refusals):6d} planted faults refused, each with its line: {REFUSED.relative_to(CHECKOUT)}")
