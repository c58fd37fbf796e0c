"""The journey of a purchase and seeded chaos once more, by programs that watch their own memory and threads."""

from __future__ import annotations

import collections
import os
import pathlib
import subprocess
import sys

import sanitizers as told
from stack.services import SERVICES, TOOLS

from tests.resilience.section import Order, Section
from tests.resilience.sections import chaos

TITLE = "sanitizers"
ONLY_LONG = True
PRESETS = {"asan": "AddressSanitizer and UndefinedBehaviorSanitizer", "tsan": "ThreadSanitizer"}
# Several times slower than the debug build, so the load is lighter; every kind of fault comes.
CHAOS = {
    "short": chaos.Size(seeds=1, orders=100, faults=12, per_second=5, long_share=0.0, disk_megabytes=640),
    "long": chaos.Size(seeds=1, orders=1_500, faults=80, per_second=6, long_share=0.05, disk_megabytes=2_000),
}
CHAOS["proof"] = CHAOS["long"]
JOURNEY_SECONDS = 1_200


def run(order: Order) -> Section:
    section = Section()
    total: collections.Counter[str] = collections.Counter()
    for preset, name in PRESETS.items():
        folder = order.folder / preset
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)  # the stack's programs are another user's
        order.say(f"{preset}: building")
        subprocess.run(["tools/build", preset, *SERVICES, *TOOLS], check=True, stdout=subprocess.DEVNULL)
        passed = journey(preset, folder, order, section.violations)
        outcome = chaos.run_seed(
            Order(order.seed, order.size, folder, order.say), CHAOS[order.size], order.seed, preset, told.options(folder / "chaos")
        )
        section.violations += [f"{preset}: chaos: {violation}" for violation in outcome.violations]
        section.violations += reported(preset, folder)
        faults = sum(len(one.bout.faults) for one in outcome.healed)
        section.lines.append(f"- {name}: {passed} tests of the journey; {outcome.orders:,} orders under {faults} faults of seeded chaos.")
        total += collections.Counter({"tests of the journey": passed, "orders": outcome.orders, "faults": faults})
    section.figures = dict(total) | {"reports": sum("reported" in violation for violation in section.violations)}
    return section


def journey(preset: str, folder: pathlib.Path, order: Order, violations: list[str]) -> int:
    """How many of its tests passed; what failed is in `journey-output.txt`."""
    order.say(f"{preset}: the journey")
    settings = {"STOA_TEST_PRESET": preset, "STOA_TEST_SANITIZER_LOG": str(folder.resolve() / "journey")}
    output = folder / "journey-output.txt"
    with open(output, "wb") as log:
        code = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests/journey"],
            env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT, timeout=JOURNEY_SECONDS, check=False,
        ).returncode  # fmt: skip
    *_, last = output.read_text().splitlines() or [""]
    if code != 0:
        violations.append(f"{preset}: the journey: {last}")
    return int(last.split(" passed")[0].split()[-1]) if " passed" in last else 0


def reported(preset: str, folder: pathlib.Path) -> list[str]:
    """A violation for each process that a sanitizer had something to say about, by its first telling line."""
    found = []
    for report in sorted([*told.reports(folder / "journey"), *told.reports(folder / "chaos")]):
        text = report.read_text(errors="replace")
        summary = next((line for line in text.splitlines() if any(word in line for word in ("ERROR:", "WARNING:", "runtime error:"))), "")
        found.append(f"{preset}: reported in {report.name}: {summary.strip() or text[:200].strip()}")
    return found
