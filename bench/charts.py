"""Charts as SVG, readable on a light and on a dark page. Pure: results in, text out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

WIDTH, BAR, GAP, TOP, LABEL, RIGHT = 760, 18, 10, 56, 190, 90
COLOURS = ["#4269d0", "#efb118", "#3ca951", "#ff725c", "#9498a0", "#a463f2", "#6cc5b0", "#97bbf5", "#9c6b4e"]
STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:14px}.axis{stroke:#8b949e;"
    "stroke-width:1}.mark{stroke:#cf222e;stroke-width:2;stroke-dasharray:4 3}.line{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>"
)


@dataclasses.dataclass(frozen=True)
class Bar:
    """One line of a chart: parts that add up, and where its target lies."""

    label: str
    parts: Mapping[str, float]
    target: float | None = None

    @property
    def sum(self) -> float:
        return sum(self.parts.values())


@dataclasses.dataclass(frozen=True)
class Line:
    label: str
    points: Sequence[tuple[float, float]]


def nice(value: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that is not less than `value`."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def document(height: float, title: str, body: Sequence[str]) -> str:
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label={quoteattr(title)}>',
        STYLE, f'<text class="title" x="8" y="20">{escape(title)}</text>', *body, "</svg>", "",
    ])  # fmt: skip


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def legend(names: Sequence[str]) -> list[str]:
    body, x = [], 8.0
    for name, colour in zip(names, COLOURS):
        body.append(f'<rect x="{x:.1f}" y="32" width="11" height="11" fill="{colour}"/>')
        body.append(text(x + 15, 42, name))
        x += 15 + 6.4 * len(name) + 12
    return body


def bars(title: str, unit: str, lines: Sequence[Bar]) -> str:
    """Horizontal bars, each of its parts one after the other; a dashed mark where its target lies."""
    if not lines:
        raise ValueError("a chart of nothing")
    names = list(dict.fromkeys(name for line in lines for name in line.parts))
    if len(names) > len(COLOURS):
        raise ValueError(f"{len(names)} parts are more than the eye tells apart")
    largest = nice(max(max(line.sum, line.target or 0) for line in lines))
    scale = (WIDTH - LABEL - RIGHT) / largest
    body = legend(names) if len(names) > 1 else []
    y = float(TOP)
    for line in lines:
        body.append(text(LABEL - 8, y + BAR - 5, line.label, "end"))
        x = float(LABEL)
        for name, value in line.parts.items():
            width = value * scale
            body.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[names.index(name)]}">'
                f"<title>{escape(name)}: {shown(value)} {escape(unit)}</title></rect>"
            )
            x += width
        if line.target is not None:
            at = LABEL + line.target * scale
            body.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 3:.1f}" y2="{y + BAR + 3:.1f}"/>')
            x = max(x, at)
        body.append(text(x + 6, y + BAR - 5, f"{shown(line.sum)} {unit}"))
        y += BAR + GAP
    return document(y + 8, title, body)


def lines(title: str, across: str, up: str, drawn: Sequence[Line]) -> str:
    """Lines over a logarithmic axis, from zero up."""
    if not any(line.points for line in drawn):
        raise ValueError("a chart of nothing")
    left, right, top, bottom = 64.0, WIDTH - 24.0, float(TOP), 300.0
    xs = sorted({x for line in drawn for x, _ in line.points})
    highest = nice(max(y for line in drawn for _, y in line.points))
    first, last = math.log10(max(xs[0], 1)), math.log10(max(xs[-1], 1))

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(max(x, 1)) - first) / (last - first) if last > first else 0.5
        return left + share * (right - left), bottom - y / highest * (bottom - top)

    body = legend([line.label for line in drawn])
    body.append(f'<path class="axis" fill="none" d="M{left} {top}V{bottom}H{right}"/>')
    body += [text(place(x, 0)[0], bottom + 16, shown(x), "middle") for x in xs]
    body += [text(left - 6, place(xs[0], part * highest / 4)[1] + 4, shown(part * highest / 4), "end") for part in range(5)]
    for line, colour in zip(drawn, COLOURS):
        path = "L".join("{:.1f} {:.1f}".format(*place(x, y)) for x, y in sorted(line.points))
        body.append(f'<path class="line" stroke="{colour}" d="M{path}"/>')
        body += ['<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>'.format(*place(x, y), colour) for x, y in line.points]
    body.append(text((left + right) / 2, bottom + 36, across, "middle"))
    body.append(text(left - 56, top - 4, up))
    return document(bottom + 48, title, body)
