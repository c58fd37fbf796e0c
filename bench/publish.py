#!/usr/bin/env python3
"""Puts the last result of each kind where the documents show it: `make bench-publish`.

Copies it to bench/results/published/, draws the charts of docs/performance/ and writes the table between the marks of
docs/performance.md. `--check` changes nothing and says whether the documents are what the published results make.
"""

from __future__ import annotations

import pathlib
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

from bench import charts, report, results  # noqa: E402

PAGE = pathlib.Path("docs/performance.md")
CHARTS = pathlib.Path("docs/performance")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
NOTHING = "No result is published yet: `make bench` prints this machine's."
SERVERS_SHOWN = {"postgres": "PostgreSQL", "redis": "Redis", "rabbitmq": "RabbitMQ"}


def shown_parts(by_process: dict[str, float]) -> dict[str, float]:
    return {SERVERS_SHOWN.get(name, name.removesuffix("-service")): value for name, value in by_process.items()}


def drawn(found: list[dict], targets: list[report.Target]) -> dict[str, str]:
    """Every chart of these results, by its file's name."""
    rows = {name: row for one in found for name, row in one["rows"].items()}
    target_of = {(one.row, one.metric): one.limits()[0] for one in targets if one.limits()}
    files = {}
    reads = ["product by id", "list, cached", "list, uncached", "text search, uncached", "users/me"]
    for file, title, names in (
        ("requests", "CPU for one request, by process", reads),
        ("orders", "CPU for one order, by process", ["order accepted", "order paid"]),
    ):
        bars = []
        for name in (one for one in names if one in rows):
            # A target of the services alone says nothing beside a bar that holds the servers too.
            bars.append(charts.Bar(name, shown_parts(rows[name]["by_process_us"]), target_of.get((name, "all_us"))))
        if bars:
            files[f"{file}.svg"] = charts.bars(title, "µs", bars)
    memory = [
        charts.Bar(name.removeprefix("memory "), shown_parts(rows[name]["by_process_mib"]), target_of.get((name, "stack_mib")))
        for name in ("memory idle", "memory after load") if name in rows
    ]  # fmt: skip
    if memory:
        files["memory.svg"] = charts.bars("Resident memory (PSS), by process", "MiB", memory)
    if paid := rows.get("POST to paid"):
        waits = [
            charts.Bar(quantile, {"": paid["values"][f"{quantile}_ms"]["median"]}, target_of.get(("POST to paid", f"{quantile}_ms")))
            for quantile in ("p50", "p99", "p99.9")
        ]
        files["latency.svg"] = charts.bars("POST to paid at 100 orders a second", "ms", waits)
    for name, row in rows.items():
        if "curve" in row:
            points = [charts.Line(label, [tuple(point) for point in line]) for label, line in row["curve"]["lines"].items()]
            files[f"growth-{name}.svg"] = charts.lines(row["curve"]["title"], row["curve"]["across"], row["curve"]["up"], points)
    return files


def section(found: list[dict], targets: list[report.Target], files: dict[str, str]) -> str:
    if not found:
        return NOTHING
    blocks = ["\n".join(f"- {report.facts_of(one)}" for one in found)]
    blocks += [f"Calibration, CPU of one: {report.calibration_of(one)}." for one in found if one.get("calibration")]
    blocks.append(report.markdown_table(report.rows_of(found, targets)))
    blocks.append("\n".join(f"![{name.removesuffix('.svg')}](performance/{name})" for name in files))
    return "\n\n".join(block for block in blocks if block)


def page_with(page: str, text: str) -> str:
    """Raises ValueError when the page has not one pair of marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after:
        raise ValueError(f"the page needs one {BEGIN} and, behind it, one {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def documents(top: pathlib.Path) -> dict[pathlib.Path, str]:
    """Each file that the published results make, and what it must hold."""
    targets = report.read_targets()
    found = results.published(top / "bench/results/published")
    files = drawn(found, targets)
    made = {CHARTS / name: text for name, text in files.items()}
    return made | {PAGE: page_with((top / PAGE).read_text(), section(found, targets, files))}


def outdated(top: pathlib.Path) -> list[str]:
    """Files that are not what the published results make, and charts that none makes."""
    made = documents(top)
    wrong = [str(file) for file, text in made.items() if not (top / file).exists() or (top / file).read_text() != text]
    left = [str(file.relative_to(top)) for file in (top / CHARTS).glob("*.svg") if file.relative_to(top) not in made]
    return sorted(wrong + left)


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        wrong = outdated(CHECKOUT)
        print("\n".join(f"{file}: not what bench/results/published makes; make bench-publish" for file in wrong))
        return 1 if wrong else 0
    results.publish(results.latest())
    for stale in (CHECKOUT / CHARTS).glob("*.svg"):
        stale.unlink()
    for file, text in documents(CHECKOUT).items():
        (CHECKOUT / file).parent.mkdir(parents=True, exist_ok=True)
        (CHECKOUT / file).write_text(text)
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
