"""The checker of the invariants (tools/audit), asked about a stack of tools/stack."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
REST_SECONDS = 30.0  # what the promise gives queues and mails to come to rest (invariant 4)
ROWS_SHOWN, ROWS_TEXT_MAX = 3, 900


class CannotLook(AssertionError):
    """Something that the checker must see is away: nothing is known, which is never clean."""


@dataclasses.dataclass(frozen=True)
class Report:
    checked: dict[str, int]  # what it looked at, by kind
    violations: list[dict[str, Any]]  # invariant, what, rows

    def lines(self) -> list[str]:
        return [line_of(one) for one in self.violations]


def line_of(violation: dict[str, Any]) -> str:
    rows = violation["rows"]
    return f"{violation['invariant']}: {violation['what']} ({len(rows)}): {str(rows[:ROWS_SHOWN])[:ROWS_TEXT_MAX]}"


def audit(stack, told: Iterable[str] = (), interruptions: int | None = None) -> Report:
    """What it finds at rest. `told`: the ids of orders that clients were answered 201; `interruptions`: how often a sender
    of mails was cut off, where the stack does not know. Raises CannotLook, and RuntimeError when the checker fails."""
    with tempfile.TemporaryDirectory() as folder:
        state, ids = pathlib.Path(folder, "stack.json"), pathlib.Path(folder, "told")
        state.write_text(json.dumps(stack.state()))
        ids.write_text("\n".join(told))
        command = [CHECKOUT / "tools/audit/audit", "--state", state, "--told", ids, "--at-rest", "--json"]
        if interruptions is not None:
            command += ["--interruptions", str(interruptions)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        raise CannotLook(f"the audit could not look: {done.stderr[-500:]}")
    if done.returncode not in (0, 1):
        raise RuntimeError(f"audit: {done.stderr}")
    return Report(**json.loads(done.stdout))


def violations(stack, told: Iterable[str] = ()) -> list[str]:
    """What it finds at rest, one line each. An audit that looked at no order proves nothing: CannotLook."""
    report = audit(stack, told)
    if not report.checked["orders"]:
        raise CannotLook("the audit saw no order")
    return report.lines()


def eventually_clean(look: Callable[[], list[str]], within: float = REST_SECONDS) -> list[str]:
    """What `look` still finds when the time to come to rest is over; nothing as soon as it finds nothing."""
    end = time.monotonic() + within
    while True:
        found = look()
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.5)
