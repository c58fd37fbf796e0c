"""A list of what the checks of deploy/ looked at, printed at the end of the run.

    def test_every_chart_renders(checked):
        for chart in checked("charts", CHARTS): ...

`checked(kind, things)` hands the things back as a list. No thing is a failure: a check that finds nothing to
check proves nothing.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
LOOKED_AT: dict[str, set[str]] = {}

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


def pytest_terminal_summary(terminalreporter) -> None:
    if LOOKED_AT:
        terminalreporter.section("checked")
    for kind, things in sorted(LOOKED_AT.items()):
        terminalreporter.write_line(f"{len(things):6d} {kind}")
