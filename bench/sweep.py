#!/usr/bin/env python3
"""How figures change when there is more of something: `make bench-sweep` (hours; each part alone by --only).

products: 10,000 → 1,000,000, reads. orders: 0 → 1,000,000 paid ones, the cost of one more. replicas: 1 → 4 of every
service. connections: 1 → 200. A part that was measured takes its place in the last result, the others stay, so
that a sweep that was ended goes on with --only. --small does everything once, quickly, and records nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

from stack import Stack  # noqa: E402

from bench import growth, machine, report, results, rows, saga  # noqa: E402
from bench.figures import Figure, figure  # noqa: E402
from bench.market import Market  # noqa: E402
from bench.parts import Failed  # noqa: E402

READS = ["product by id", "list, cached", "list, uncached", "text search, uncached"]
ALL_VARIANTS = 1_000_000  # an order each takes from all in turn, so that none is sold out before the end


@dataclasses.dataclass(frozen=True)
class Size:
    """How far a sweep goes."""

    products: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    orders: tuple[int, ...] = (0, 10_000, 100_000, 1_000_000)
    replicas: tuple[int, ...] = (1, 2, 4)
    connections: tuple[int, ...] = (1, 8, 32, 100, 200)
    buyers: int = 1200
    plan: rows.Plan = rows.Plan(seconds=10, repeats=3)


SMALL = Size((200, 400), (0, 50), (1, 2), (1, 4), 300, rows.Plan(seconds=1, repeats=1))


class Sweep:
    def __init__(self, size: Size, preset: str) -> None:
        self._size, self._preset = size, preset

    @contextmanager
    def _market(self, replicas: int = 1) -> Iterator[Market]:
        with (
            tempfile.TemporaryDirectory(prefix="stoa-bench-") as folder,
            Stack(profile="bench", preset=self._preset, replicas=replicas) as stack,
        ):
            market = Market(stack, pathlib.Path(folder), self._size.products[0], self._size.buyers, ALL_VARIANTS)
            market.open()
            yield market

    def _asked(self, market: Market, name: str, **more: int) -> dict[str, Figure]:
        script, given = rows.questions(market)[name]
        return rows.closed_loop(market, self._size.plan, script, given, **more)["values"]

    def products(self) -> dict:
        found: dict[str, list[tuple[int, Figure]]] = {name: [] for name in READS}
        with self._market() as market:
            for count in self._size.products:
                growth.products(market, count)
                for name in READS:
                    found[name].append((count, self._asked(market, name)["all_us"]))
                    say(f"{count} products, {name}", found[name][-1][1], "µs")
        return grown(found, "product by id", "CPU for one request, as the catalogue grows", "products", "µs")

    def orders(self) -> dict:
        found: dict[str, list[tuple[int, Figure]]] = {"order accepted": []}
        with self._market() as market:
            for count in self._size.orders:
                growth.orders(market, count)
                found["order accepted"].append((count, rows.accepted(market, self._size.plan)["values"]["all_us"]))
                say(f"{count} orders, one more accepted", found["order accepted"][-1][1], "µs")
        return grown(found, "order accepted", "CPU for one order, as orders add up", "orders there already", "µs")

    def replicas(self) -> dict:
        found: dict[str, list[tuple[int, Figure]]] = {"product by id": [], "orders settled": []}
        for count in self._size.replicas:
            with self._market(count) as market:
                found["product by id"].append((count, self._asked(market, "product by id")["per_second"]))
                settled = figure([saga.probe(market) for _ in range(self._size.plan.repeats)])
                found["orders settled"].append((count, settled))
                for name, line in found.items():
                    say(f"{count} replicas, {name}", line[-1][1], "/s")
        return grown(found, "product by id", "A second, by replicas of every service on one machine", "replicas", "/s")

    def connections(self) -> dict:
        found: dict[str, list[tuple[int, Figure]]] = {"product by id": [], "p99 ms": []}
        with self._market() as market:
            for count in self._size.connections:
                values = self._asked(market, "product by id", connections=count)
                found["product by id"].append((count, values["all_us"]))
                found["p99 ms"].append((count, values["p99_ms"]))
                say(f"{count} connections, product by id", values["all_us"], "µs")
        return grown(found, "product by id", "Product by id, by connections", "connections", "µs; ms")


PARTS: dict[str, Callable[[Sweep], dict]] = {
    "products": Sweep.products, "orders": Sweep.orders, "replicas": Sweep.replicas, "connections": Sweep.connections,
}  # fmt: skip


def say(what: str, found: Figure, unit: str) -> None:
    print(f"{what}: {report.number(found['median'])} {unit} ({report.ranged(found) or 'once'})", flush=True)


def grown(found: dict[str, list[tuple[int, Figure]]], leading: str, title: str, across: str, up: str) -> dict:
    """The row of a part: by how much its leading line grew from first to last, and every line as a curve."""
    first, last = found[leading][0][1], found[leading][-1][1]
    growth_of = {
        "median": last["median"] / first["median"], "low": last["low"] / first["high"], "high": last["high"] / first["low"],
    }  # fmt: skip
    drawn = {name: [(at, value["median"]) for at, value in line] for name, line in found.items()}
    values = {"growth": {name: round(value, 3) for name, value in growth_of.items()}}
    return {"values": values, "curve": {"title": title, "across": across, "up": up, "lines": drawn}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="these parts; those measured before stay as they are")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--preset", default="release")
    chosen = parser.parse_args()
    size = SMALL if chosen.small else Size()
    sweep, facts = Sweep(size, chosen.preset), machine.facts()
    before = [one for one in results.latest() if one["kind"] == "sweep"]
    measured = dict(before[0]["rows"]) if before else {}
    settings = {"seconds": size.plan.seconds, "repeats": size.plan.repeats}
    for name in chosen.only or PARTS:
        try:
            measured[name] = PARTS[name](sweep) | {"at": results.today(), "commit": results.commit()}
        except Failed as why:
            print(f"sweep: {name}: {why}", file=sys.stderr)
            return 1
        found = results.result("sweep", facts, settings, measured)
        if not chosen.small:
            results.append(found)  # each part by itself: the next may be hours away
    if not chosen.small:
        print("\n" + report.text_table(report.rows_of([found], report.read_targets())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
