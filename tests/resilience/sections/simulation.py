"""The saga, simulated: the state machines of production under a virtual clock and network (tests/simulation)."""

from __future__ import annotations

import pathlib
import re
import subprocess
from collections.abc import Sequence

from tests.resilience.section import Order, Section

TITLE = "the saga, simulated"

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
PROGRAM = CHECKOUT / "build" / "debug" / "bin" / "saga-simulation"
# The short form counts steps: how many a machine makes in some seconds depends on what else it does.
LENGTH = {"short": ("--steps", "400000"), "proof": ("--seconds", "120"), "long": ("--seconds", "1200")}
DEFECT_SECONDS = 60
PROGRAM_SECONDS_MAX = 1_800
STEPS_A_MINUTE_MIN = 1_000_000


def simulate(seed: int, length: Sequence[str], defect: str = "") -> tuple[int, str]:
    """`length`: an option of the program and its value."""
    command = [str(PROGRAM), "--seed", str(seed), *length]
    if defect:
        command += ["--defect", defect]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_SECONDS_MAX)
    return done.returncode, done.stdout + done.stderr


def figures_of(text: str) -> dict[str, float]:
    """The lines "name value" of the program."""
    return {match[1]: float(match[2]) for match in re.finditer(r"^([a-z_]+) ([0-9.]+)$", text, re.M)}


def faults_of(text: str) -> dict[str, int]:
    return {match[2]: int(match[1]) for match in re.finditer(r"^fault (\d+) (.+)$", text, re.M)}


def violations_of(text: str) -> list[str]:
    """Each with the smallest schedule that shows it."""
    pattern = r"^violation (.+)\n  seen +(.+)\n  schedule +(.+)$"
    return [f"{match[1]}: {match[2]} (`{match[3]}`)" for match in re.finditer(pattern, text, re.M)]


def defects() -> list[str]:
    """As schedule.hpp lists them."""
    text = (CHECKOUT / "tests" / "simulation" / "schedule.hpp").read_text()
    return re.findall(r"^    Defect::([a-z_]+),$", text, re.M)


def judged(code: int, text: str) -> Section:
    """What one run without a defect came to."""
    figures, faults = figures_of(text), faults_of(text)
    violations = violations_of(text)
    if code != 0 and not violations:
        violations = [f"the program ended with {code}: {text[-500:]}"]
    if not figures:
        return Section(violations=violations or ["the program told nothing"])
    if figures["steps_a_minute"] < STEPS_A_MINUTE_MIN:
        violations.append(f"{figures['steps_a_minute']:,.0f} steps a minute, promised {STEPS_A_MINUTE_MIN:,}")
    lines = [
        f"{figures['steps']:,.0f} steps in {figures['seconds']:.0f} s on one core, debug build: "
        f"{figures['steps_a_minute']:,.0f} a minute of its time. {figures['seeds']:,.0f} seeds, {figures['orders']:,.0f} orders, "
        f"{figures['captures']:,.0f} captures, {figures['refunds']:,.0f} refunds.",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in faults.items()),
    ]
    return Section(
        figures={"steps": f"{figures['steps']:,.0f}", "orders": f"{figures['orders']:,.0f}", "faults": f"{sum(faults.values()):,}"},
        lines=lines,
        violations=violations,
    )


def hunt(order: Order) -> tuple[list[str], list[str]]:
    """Every planted defect must be noticed: lines of the page, violations."""
    lines, violations = ["", "| planted defect | noticed as |", "|---|---|"], []
    for defect in defects():
        code, text = simulate(order.seed, ["--seconds", str(DEFECT_SECONDS)], defect)
        (order.folder / f"{defect}.txt").write_text(text)
        seen = re.search(r"^violation (.+)$", text, re.M)
        if code == 1 and seen:
            lines.append(f"| `{defect}` | {seen[1]} |")
        else:
            violations.append(f"the defect {defect} was not noticed in {DEFECT_SECONDS} s")
        order.say(f"{defect}: {seen[1] if seen else 'not noticed'}")
    return lines, violations


def run(order: Order) -> Section:
    order.say(f"simulating, {" ".join(LENGTH[order.size])}")
    code, text = simulate(order.seed, LENGTH[order.size])
    (order.folder / "simulation.txt").write_text(text)
    section = judged(code, text)
    # In the short form the defects are hunted by saga_simulation_test.
    if order.size != "short":
        lines, violations = hunt(order)
        section.lines += lines
        section.violations += violations
        section.figures["planted defects noticed"] = f"{len(defects()) - len(violations)} of {len(defects())}"
    return section
