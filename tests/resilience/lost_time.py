"""The checker, asked about a shop whose databases may have lost their last seconds.

What a restore or a standby that was behind must leave is explained row by row; all else is a violation.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable

import psycopg
from stack import Stack

from tests.shop import Shop

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
ROWS_SHOWN = 3
SUBJECT_NUMBER = re.compile(r"S-\d+")


def eventually_none(look: Callable[[], list[str]], within: float) -> list[str]:
    """What `look` still finds when the time is over; nothing as soon as it finds nothing."""
    end = time.monotonic() + within
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.25)
    return found


def reconcile(stack: Stack, repair: bool) -> str:
    """What the operator's command prints, differences or none. Raises RuntimeError when it could not look."""
    try:
        return stack.run_command("payment-service", "reconcile", *(["--repair"] if repair else []), timeout=120)
    except RuntimeError as error:
        if " ended with 1:" not in str(error):
            raise
        return str(error)


class Checker:
    """`set_back`: the databases were. `mails_of_the_lost_time` is what that explained at the last look."""

    def __init__(self, stack: Stack, shop: Shop, told: Iterable[str], set_back: bool) -> None:
        self.stack, self.shop, self.told, self.set_back = stack, shop, list(told), set_back
        self.mails_of_the_lost_time = 0

    def violations(self) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            state, ids = pathlib.Path(folder, "stack.json"), pathlib.Path(folder, "told")
            state.write_text(json.dumps(self.stack.state()))
            ids.write_text("\n".join(self.told))
            done = subprocess.run([CHECKOUT / "tools/audit/audit", "--state", state, "--at-rest", "--json", "--told", ids],
                                  capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            return [f"the audit could not look: {done.stderr[-500:]}"]
        report = json.loads(done.stdout)
        if not report["checked"]["orders"]:
            return ["the audit saw no order"]
        return [f"{one['invariant']}: {one['what']} {one['rows'][:ROWS_SHOWN]} of {len(one['rows'])}"
                for one in report["violations"] if not (self.set_back and self._explained(one))]

    def _explained(self, violation: dict) -> bool:
        """Mails cannot be called back: one that no delivery tells of, or the one that its order now lacks."""
        if violation["what"] == "a mail that no delivery tells of":
            self.mails_of_the_lost_time = len(violation["rows"])
            return True
        if violation["what"] == "an order whose end was never mailed":
            mailed = self._mailed_numbers()
            return all(self._number_of(row["id"]) in mailed for row in violation["rows"])
        return False

    def _number_of(self, order_id: str) -> str:
        with psycopg.connect(self.stack.dsn("orders")) as db:
            [number] = db.execute("SELECT number FROM orders WHERE id = %s", (order_id,)).fetchone()
        return f"S-{number}"

    def _mailed_numbers(self) -> set[str]:
        mails = self.shop.mail.get("/api/messages", params={"summary": "true", "limit": 1_000_000}).json()["messages"]
        return {number for mail in mails for number in SUBJECT_NUMBER.findall(mail["subject"])}
