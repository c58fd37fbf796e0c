"""Results as people read them: the table, and whether each target is reached. Pure."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import yaml

TARGETS = pathlib.Path(__file__).with_name("targets.yaml")
CALIBRATION = {"nginx": "a static file from nginx", "pgbench": "a transaction of pgbench", "argon2": "an Argon2id hash"}


@dataclasses.dataclass(frozen=True)
class Target:
    what: str
    row: str
    metric: str
    unit: str
    most: tuple[float, ...] = ()
    least: tuple[float, ...] = ()

    def limits(self) -> tuple[float, ...]:
        return self.most or self.least

    def reached(self, value: float) -> str:
        """How far: "stretch", "yes" or "no"; nothing where there is no target."""
        kept = [value <= limit for limit in self.most] or [value >= limit for limit in self.least]
        if not kept:
            return ""
        return "no" if not kept[0] else "stretch" if len(kept) > 1 and kept[1] else "yes"


def read_targets(text: str | None = None) -> list[Target]:
    """Raises TypeError or ValueError of a line that does not say what it must."""
    targets = []
    for line in yaml.safe_load(TARGETS.read_text() if text is None else text):
        one = Target(**line | {limit: tuple(line[limit]) for limit in ("most", "least") if limit in line})
        if (one.most and one.least) or len(one.limits()) > 2:
            raise ValueError(f"{one.what}: most or least, a target and perhaps a value to stretch for")
        targets.append(one)
    return targets


def number(value: float) -> str:
    """Three digits are what repeats of a measurement agree in."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ranged(figure: Mapping[str, float]) -> str:
    if figure["low"] == figure["high"]:
        return ""
    return f"{number(figure['low'])}–{number(figure['high'])}"


def rows_of(results: Sequence[Mapping], targets: Sequence[Target]) -> list[list[str]]:
    """A line for each target of which one of `results` has the row, the latest result last."""
    lines = []
    for target in targets:
        row = {}
        for result in results:
            row = result["rows"].get(target.row, row)
        if not row:
            continue
        figure = row["values"].get(target.metric)
        low, high = ([number(limit) for limit in target.limits()] + ["", ""])[:2]
        if figure is None:
            lines.append([target.what, "not measured: " + row.get("why_not", ""), "", target.unit, low, high, ""])
        else:
            lines.append([target.what, number(figure["median"]), ranged(figure), target.unit, low, high,
                          target.reached(figure["median"])])  # fmt: skip
    return lines


HEADER = ["measure", "median", "range", "unit", "target", "stretch", "reached"]


def text_table(lines: Sequence[Sequence[str]]) -> str:
    lines = [HEADER, *lines]
    widths = [max(len(line[i]) for line in lines if not line[1].startswith("not measured") or i != 1) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    )


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    head = ["| " + " | ".join(HEADER) + " |", "|---|--:|--:|---|--:|--:|---|"]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)])


def facts_of(result: Mapping) -> str:
    """One sentence: when, where, of which commit, and how."""
    machine, settings = result["machine"], result["settings"]
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return (
        f"{result['kind']}, {result['at'][:10]}, commit {result['commit']}: {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, load {machine['load']} before it began; {said}"
    )


def calibration_of(result: Mapping) -> str:
    return ", ".join(
        f"{CALIBRATION[name]} {number(figure['median'])} µs ({ranged(figure) or 'once'})"
        for name, figure in result.get("calibration", {}).items()
    )


def parts_table(result: Mapping) -> str:
    """CPU of each request row by process."""
    rows = {name: row for name, row in result["rows"].items() if "by_process_us" in row}
    if not rows:
        return ""
    processes = list(next(iter(rows.values()))["by_process_us"])
    width = max(map(len, rows))
    lines = [" " * width + "  " + "  ".join(processes)]
    for name, row in rows.items():
        cells = [number(row["by_process_us"][process]).rjust(len(process)) for process in processes]
        lines.append(name.ljust(width) + "  " + "  ".join(cells))
    return "\n".join(lines)


def whole(results: Sequence[Mapping], targets: Sequence[Target]) -> str:
    """What `make bench` prints at its end."""
    last = results[-1]
    said = [facts_of(result) for result in results]
    blocks = ["\n".join(said), "calibration, CPU of one: " + calibration_of(last) if last.get("calibration") else ""]
    if by_process := parts_table(last):
        blocks.append("CPU µs by process, for one request or order:\n" + by_process)
    blocks.append(text_table(rows_of(results, targets)))
    return "\n\n".join(block for block in blocks if block)
