#!/usr/bin/env python3
"""How long builds take, with no compiler cache: `make bench-build`.

It runs in a copy of the sources (bench/build makes it), so a clean build is one and nobody's tree is touched: each
preset from nothing, with nothing to do, and with one file changed, until the service that holds it is ready again.
What `make up` takes, bench/build measured on the host; it comes in STOA_BENCH_UP as NAME=SECONDS, a comma between.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import time

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

from stack import Stack  # noqa: E402

from bench import machine, report, results  # noqa: E402
from bench.figures import figure  # noqa: E402

CHANGED = CHECKOUT / "services/order-service/domain/order.cpp"
SERVICE = "order-service"
TIMES = 3


def build(preset: str, *targets: str) -> float:
    """Seconds of tools/build; raises CalledProcessError, with what it said, when it fails."""
    began = time.monotonic()
    subprocess.run(
        [CHECKOUT / "tools/build", preset, *targets], check=True, env=os.environ | {"CCACHE_DISABLE": "1"}, stdout=sys.stderr
    )
    return time.monotonic() - began


def change(file: pathlib.Path, number: int) -> None:
    with file.open("a") as text:
        text.write(f"static_assert({number} >= 0);\n")


def changed_until_ready(preset: str, profile: str = "test") -> list[float]:
    """Seconds from a saved file of a service to that service ready again, beside the rest of a shop that runs."""
    seconds = []
    with Stack(profile=profile, preset=preset) as stack:
        for number in range(TIMES):
            change(CHANGED, number)
            began = time.monotonic()
            build(preset, SERVICE)
            stack.restart(SERVICE)
            seconds.append(time.monotonic() - began)
    return seconds


def seconds_row(samples: list[float]) -> dict:
    return {"values": {"seconds": figure(samples)}}


def up_rows(told: str) -> dict[str, dict]:
    """From "make-up=300,make-up-again=8"; of what is not told, that it was not measured."""
    seconds = dict(pair.split("=") for pair in told.split(",") if pair)
    return {
        name: seconds_row([float(seconds[name.replace(" ", "-")])]) if name.replace(" ", "-") in seconds
        else {"values": {}, "why_not": "bench/build --up, where an engine answers"}
        for name in ("make up", "make up again", "one image changed")
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, required=True, help="the folder of the result")
    parser.add_argument("--presets", nargs="+", default=["debug", "release"], help="the first one is also changed and run")
    chosen = parser.parse_args()
    facts, rows = machine.facts(), {}
    first = chosen.presets[0]
    for preset in chosen.presets:
        name = "clean build" if preset == first else f"clean build, {preset}"
        rows[name] = seconds_row([build(preset)])
        print(f"{name}: {rows[name]['values']['seconds']['median']} s", flush=True)
    rows["nothing to do"] = seconds_row([build(first) for _ in range(TIMES)])
    rows["one file changed"] = seconds_row(changed_until_ready(first))
    rows |= up_rows(os.environ.get("STOA_BENCH_UP", ""))
    found = results.result("build", facts, {"presets": " ".join(chosen.presets)}, rows)
    results.append(found, chosen.results)
    print("\n" + report.text_table(report.rows_of([found], report.read_targets())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
