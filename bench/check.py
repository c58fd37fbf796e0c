#!/usr/bin/env python3
"""Whether a request or an order costs more than bench/budgets.yaml allows: `make bench-check` (three minutes).

Each repeat measures a calibration and, right beside it, every row, and judges their ratio: what slows the whole
machine slows both. A row fails when not even its best repeat keeps the budget; it is then measured once more, and
so is one whose repeats lay too far apart to see it double.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Callable

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

from stack import Stack  # noqa: E402
from stack.services import SERVICES  # noqa: E402

from bench import budgets, calibration, parts, rows, saga  # noqa: E402
from bench.figures import Round, row  # noqa: E402
from bench.market import Market  # noqa: E402

ORDERS_A_SECOND = 100  # far below what any machine manages, so that the cost is of orders, not of crowding
WRITTEN_SLACK = 1.25
TRIES = 2


def paced_orders(market: Market, seconds: int) -> Round:
    """Whole orders, until the last one is paid and mailed."""
    before, paid = parts.cpu_seconds(market.stack), saga.paid_orders(market.stack)
    with saga.pace(market, ORDERS_A_SECOND, seconds) as load:
        printed = load.communicate(timeout=seconds + 2 * parts.ANSWER_SECONDS)[0]
    if refused := saga.refused(printed):
        raise parts.Failed(f"orders: {refused}")
    rows.wait_until_settled(market.stack)
    spent = parts.used(before, parts.cpu_seconds(market.stack))
    return Round(saga.paid_orders(market.stack) - paid, float(seconds), spent)


class Check:
    """One stack, as many repeats as it takes; `samples` and `beside` are what budgets.judge is given."""

    def __init__(self, market: Market, seconds: int) -> None:
        self.samples: dict[str, list[float]] = {}
        self.beside: dict[str, list[float]] = {}
        self._seconds = seconds
        self._calibration = calibration.Calibration(market.stack, market.folder)
        self._rounds: dict[str, Callable[[int], Round]] = {
            name: lambda number, script=script, given=given: rows.one_round(market, script, given(number), seconds)
            for name, (script, given) in rows.questions(market).items()
        }
        self._rounds["order paid"] = lambda _: paced_orders(market, 2 * seconds)
        self._number = 0

    def repeat(self, times: int) -> None:
        for _ in range(times):
            self._number += 1
            for name, sample in self._calibration.once(self._seconds).items():
                self.beside.setdefault(name, []).append(sample)
            for name, measure in self._rounds.items():
                for metric, figure in row([measure(self._number)], SERVICES, parts.SERVERS)["values"].items():
                    self.samples.setdefault(f"{name} {metric}", []).append(figure["median"])

    def warm_up(self) -> None:
        self.repeat(1)
        self.samples.clear()
        self.beside.clear()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--products", type=int, default=2_000)
    parser.add_argument("--preset", default="release")
    parser.add_argument("--write", action="store_true", help=f"the budgets anew: {WRITTEN_SLACK} times what is measured")
    chosen = parser.parse_args()
    wanted = budgets.read_budgets()
    with tempfile.TemporaryDirectory(prefix="stoa-bench-") as folder, Stack(profile="bench", preset=chosen.preset) as stack:
        market = Market(stack, pathlib.Path(folder), chosen.products, buyers=100)
        market.open()
        check = Check(market, chosen.seconds)
        check.warm_up()
        for _ in range(TRIES):
            check.repeat(chosen.repeats)
            verdicts = budgets.judge(wanted, check.samples, check.beside)
            print(budgets.table(verdicts), flush=True)
            if chosen.write or all(one.said == "ok" for one in verdicts):
                break
    if chosen.write:
        budgets.BUDGETS.write_text(budgets.written(wanted, verdicts, WRITTEN_SLACK))
        return 0
    failed = [one for one in verdicts if one.said != "ok"]
    print(f"{len(verdicts)} budgets, {len(failed)} not kept")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
