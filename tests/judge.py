"""The checker of the invariants (tools/audit), asked about a stack of tools/stack."""

from __future__ import annotations

import json
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
REST_SECONDS = 30.0  # what the promise gives queues and mails to come to rest (invariant 4)


def violations(stack, told: Iterable[str] = ()) -> list[str]:
    """What it finds at rest; `told`: the ids of orders that clients were answered 201."""
    with tempfile.TemporaryDirectory() as folder:
        state, ids = pathlib.Path(folder, "stack.json"), pathlib.Path(folder, "told")
        state.write_text(json.dumps(stack.state()))
        ids.write_text("\n".join(told))
        done = subprocess.run(
            [CHECKOUT / "tools/audit/audit", "--state", state, "--at-rest", "--json", "--told", ids],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["checked"]["orders"] > 0, "an audit that looked at nothing proves nothing"
    return [f"{v['invariant']}: {v['what']} {v['rows']}" for v in report["violations"]]


def eventually_clean(look: Callable[[], list[str]], within: float = REST_SECONDS) -> list[str]:
    """What `look` still finds when the time to come to rest is over; nothing as soon as it finds nothing."""
    end = time.monotonic() + within
    while True:
        found = look()
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.5)
