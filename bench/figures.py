"""Arithmetic on samples: no clock, no process, no file."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

Figure = dict[str, float]  # median, low and high of repeated samples

SIGNIFICANT_DIGITS = 4


def rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def figure(samples: Iterable[float]) -> Figure:
    """What repeats of one measurement came to. Raises ValueError of none: nothing was measured."""
    values = sorted(samples)
    if not values:
        raise ValueError("a figure needs a sample")
    return {"median": rounded(statistics.median(values)), "low": rounded(values[0]), "high": rounded(values[-1])}


def spread(of: Figure) -> float:
    """How far the repeats lay apart, as a share of their median."""
    return (of["high"] - of["low"]) / of["median"] if of["median"] else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that `share` of the values do not exceed. Raises ValueError of none."""
    if not values:
        raise ValueError("a quantile needs a sample")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclasses.dataclass(frozen=True)
class Round:
    """One repeat: how much was done, how long it took, and what each part used of the processors meanwhile."""

    done: int
    seconds: float
    cpu_seconds: Mapping[str, float]
    latency_ms: Mapping[str, float] = dataclasses.field(default_factory=dict)  # by quantile: p50, p99, p99.9


def row(rounds: Sequence[Round], services: Sequence[str], servers: Sequence[str]) -> dict:
    """The row of a table: each value the median of the rounds with its range, CPU in microseconds for one thing done."""
    if any(one.done <= 0 for one in rounds):
        raise ValueError("a round in which nothing was done costs nothing that could be told")

    def each(parts: Sequence[str]) -> list[float]:
        return [sum(one.cpu_seconds[part] for part in parts) / one.done * 1e6 for one in rounds]

    values = {
        "services_us": figure(each(services)),
        "all_us": figure(each([*services, *servers])),
        "per_second": figure(one.done / one.seconds for one in rounds),
    }
    for name in sorted({name for one in rounds for name in one.latency_ms}):
        values[f"{name}_ms"] = figure(one.latency_ms[name] for one in rounds)
    by_process = {part: figure(each([part]))["median"] for part in [*services, *servers]}
    return {"values": values, "by_process_us": by_process}


def growing(samples: Sequence[Mapping[str, int]], a_second: float, tolerated_seconds: float = 0.5) -> dict[str, float]:
    """The queues that grew under a constant load, each by how many seconds of that load: the mean of the last third
    of the samples lies more than `tolerated_seconds` of work above that of the first."""
    third = len(samples) // 3
    if third == 0:
        raise ValueError("growth needs at least three samples")
    grown = {}
    for queue in samples[0]:
        first = statistics.fmean(sample[queue] for sample in samples[:third])
        last = statistics.fmean(sample[queue] for sample in samples[-third:])
        if (seconds := (last - first) / a_second) > tolerated_seconds:
            grown[queue] = rounded(seconds)
    return grown


def round_seconds(a_second: float, room: int, most: int) -> int:
    """How many whole seconds a load of `a_second` may go on when there is room for so many, and no longer than `most`."""
    return max(1, min(most, int(room / a_second)))
