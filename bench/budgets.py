"""Whether a run keeps bench/budgets.yaml. Pure: samples in, judgement out."""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
from collections.abc import Mapping, Sequence

import yaml

BUDGETS = pathlib.Path(__file__).with_name("budgets.yaml")
BLIND = 1.0  # a run that would not have seen a row double has judged nothing


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a metric of a row may be, in multiples of a calibration."""

    row: str
    metric: str
    of: str
    most: float


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`ratios`: of each repeat, to the calibration beside it. A regression is one that not even the least of them
    explains as noise; `would_see` is the share by which the row had to grow for that."""

    budget: Budget
    ratios: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def regressed(self) -> bool:
        return min(self.ratios) > self.budget.most

    @property
    def would_see(self) -> float:
        return max(0.0, self.budget.most / min(self.ratios) - 1)

    @property
    def blind(self) -> bool:
        return self.would_see > BLIND

    @property
    def said(self) -> str:
        if self.regressed:
            return "REGRESSED"
        return "BLIND" if self.blind else "ok"


def read_budgets(text: str | None = None) -> list[Budget]:
    """Raises ValueError of a file that budgets nothing."""
    budgets = [Budget(**line) for line in yaml.safe_load(BUDGETS.read_text() if text is None else text) or []]
    if not budgets or any(one.most <= 0 for one in budgets):
        raise ValueError("a budget is a number above zero, and there is at least one")
    return budgets


def judge(budgets: Sequence[Budget], samples: Mapping[str, Sequence[float]], beside: Mapping[str, Sequence[float]]) -> list[Verdict]:
    """`samples`: of each "row metric", one a repeat; `beside`: of each calibration, measured in the same repeats.
    Raises ValueError of a budget whose row was not measured: what is not looked at is not kept."""
    verdicts = []
    for one in budgets:
        values, measures = samples.get(f"{one.row} {one.metric}", ()), beside.get(one.of, ())
        if not values or len(values) != len(measures):
            raise ValueError(f"{one.row} {one.metric}: {len(values)} samples beside {len(measures)} of {one.of}")
        verdicts.append(Verdict(one, tuple(value / measure for value, measure in zip(values, measures))))
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    lines = [f"{'row':<36} {'of':<8} {'ratio':>7} {'range':>15} {'budget':>7} {'would see':>10}"]
    for one in verdicts:
        name = f"{one.budget.row}, {one.budget.metric.removesuffix('_us')}"
        extent = f"{min(one.ratios):.2f}–{max(one.ratios):.2f}"
        lines.append(
            f"{name:<36} {one.budget.of:<8} {one.median:>7.2f} {extent:>15} {one.budget.most:>7.2f} {one.would_see:>+10.0%}  {one.said}"
        )
    return "\n".join(lines)


def written(budgets: Sequence[Budget], verdicts: Sequence[Verdict], slack: float) -> str:
    """The file anew, from what was measured; the words at its top stay."""
    head = [line for line in BUDGETS.read_text().splitlines() if line.startswith("#")]
    ratio = {verdict.budget: verdict.median for verdict in verdicts}
    lines = [
        f'- {{row: "{one.row}", metric: {one.metric}, of: {one.of}, most: {ratio[one] * slack:.2f}}}' for one in budgets
    ]
    return "\n".join([*head, *lines, ""])
