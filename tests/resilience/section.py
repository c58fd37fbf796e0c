"""What a section of the proof is asked for, and what it answers."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Order:
    """`size`: "short" is a part of `make test` (at most a minute on two cores), "proof" of `make prove`,
    "long" of `make prove-long`. Whatever a run leaves to chance it draws from `seed`. `folder` is the
    section's own, for logs and what a reader may want to see afterwards; `say` tells where it is."""

    seed: int
    size: Literal["short", "proof", "long"]
    folder: pathlib.Path
    say: Callable[[str], None] = print


@dataclasses.dataclass
class Section:
    """`figures` go into the table at the page's top, `lines` (Markdown) below it. No violation: proven."""

    figures: dict[str, str | int | float] = dataclasses.field(default_factory=dict)
    lines: list[str] = dataclasses.field(default_factory=list)
    violations: list[str] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def keeping_logs(stack, folder: pathlib.Path) -> Iterator[None]:
    """What every process of the stack said is in `folder`/logs afterwards, however it ended."""
    try:
        yield
    finally:
        shutil.copytree(stack.folder / "logs", folder / "logs", dirs_exist_ok=True)
