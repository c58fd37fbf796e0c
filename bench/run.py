#!/usr/bin/env python3
"""The figures of this machine, on the stack run as processes (profile bench, release preset): `make bench`.

Everything, the load generator included, shares this machine's cores, so the figure to compare is CPU time for one
request by process; requests a second only within one run. Each row is warmed up and repeated: its median, and the
range. A calibration of the same run (a static file from nginx, a transaction of pgbench, an Argon2id hash) makes
figures of different machines comparable as ratios.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

from stack import Stack  # noqa: E402

from bench import footprint, machine, openloop, report, results, rows, saga, statements  # noqa: E402
from bench.calibration import Calibration  # noqa: E402
from bench.market import Market  # noqa: E402
from bench.parts import Failed  # noqa: E402

GROUPS = ["footprint", "reads", "login", "accepted", "latency", "saga"]
CALIBRATION_SECONDS = 5
SMALL = (1, 1, 200, 300)  # seconds, repeats, products, buyers


class Bench:
    """Measures group by group and says each row when it has it."""

    def __init__(self, stack: Stack, market: Market, plan: rows.Plan) -> None:
        self.stack, self.market, self.plan = stack, market, plan
        self.calibration = Calibration(stack, market.folder)
        self.rows: dict[str, dict] = {}
        self._began = time.monotonic()

    def take(self, name: str, measure: Callable[[], dict]) -> None:
        self.add(name, measure())

    def add(self, name: str, row: dict) -> None:
        self.rows[name] = row
        told = ", ".join(f"{metric} {report.number(figure['median'])}" for metric, figure in row["values"].items())
        print(f"{time.monotonic() - self._began:6.0f} s  {name}: {told or row.get('why_not', '')}", flush=True)

    def calibrate(self) -> None:
        self.calibration.measure(min(CALIBRATION_SECONDS, self.plan.seconds), rounds=2)
        self.add("calibration", {"values": {f"{name}_us": figure for name, figure in self.calibration.figures().items()}})

    def run(self, groups: list[str]) -> None:
        if "footprint" in groups:
            self.take("memory idle", lambda: footprint.memory(self.stack))
            self.take("starts", lambda: footprint.starts(self.stack, 2 * self.plan.repeats - 1))
            self.take("images", footprint.images)
        self.calibrate()
        self.market.open()
        self.add("import", {"values": {"seconds": rows.figure([self.market.import_seconds])}})
        if "reads" in groups:
            for name, (script, given) in rows.questions(self.market).items():
                self.add(name, rows.closed_loop(self.market, self.plan, script, given))
        if "login" in groups:
            hash_us = self.calibration.figures()["argon2"]["median"]
            self.take("login", lambda: rows.login(self.market, self.plan, hash_us))
        if "accepted" in groups:
            self.take("order accepted", lambda: rows.accepted(self.market, self.plan))
        if "latency" in groups:
            self.take("POST to paid", lambda: openloop.post_to_paid(self.market, self.plan))
        if "saga" in groups:
            self.take("order paid", lambda: saga.sustained(self.market, self.plan))
        if "footprint" in groups:
            self.take("memory after load", lambda: footprint.memory(self.stack))
        self.calibrate()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--buyers", type=int, default=1200)
    parser.add_argument("--small", action="store_true", help="everything once, quickly: does the instrument work?")
    parser.add_argument("--preset", default="release")
    parser.add_argument("--statements", action="store_true", help="PostgreSQL's time by statement, too (costs some)")
    parser.add_argument("--only", choices=GROUPS, action="append", help="these groups of rows; nothing is recorded")
    chosen = parser.parse_args()
    if chosen.small:
        chosen.seconds, chosen.repeats, chosen.products, chosen.buyers = SMALL
    return chosen


def measure(chosen: argparse.Namespace, folder: pathlib.Path) -> dict:
    facts = machine.facts()
    with Stack(profile="bench", preset=chosen.preset) as stack:
        market = Market(stack, folder, chosen.products, chosen.buyers)
        bench = Bench(stack, market, rows.Plan(chosen.seconds, chosen.repeats))
        if chosen.statements:
            statements.count(stack)
        bench.run(chosen.only or GROUPS)
        if chosen.statements:
            statements.show(stack)
        audit = saga.audited(stack)
        print(f"audit: {audit}", flush=True)
        settings = {
            "seconds": chosen.seconds, "repeats": chosen.repeats, "products": chosen.products,
            "trace ratio": stack.profile.trace_ratio, "log level": stack.profile.log_level, "fsync": stack.profile.postgres["fsync"], "build": chosen.preset,
        }  # fmt: skip
        calibration = bench.calibration.figures()
        return results.result("bench", facts, settings, bench.rows, calibration=calibration, audit=audit)


def main() -> int:
    chosen = arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="stoa-bench-") as folder:
            found = measure(chosen, pathlib.Path(folder))
    except Failed as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    print("\n" + report.whole([found], report.read_targets()))
    if not (chosen.only or chosen.statements or chosen.small):
        results.append(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
