"""The checker, asked about a shop whose databases may have lost their last seconds.

What a restore or a standby that was behind must leave is explained row by row; all else is a violation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import psycopg
from stack import Stack

from tests.judge import CannotLook, audit, line_of
from tests.shop import Shop

SUBJECT_NUMBER = re.compile(r"S-\d+")


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
        try:
            report = audit(self.stack, self.told)
        except CannotLook as error:
            return [str(error)]
        if not report.checked["orders"]:
            return ["the audit saw no order"]
        return [line_of(one) for one in report.violations if not (self.set_back and self._explained(one))]

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
