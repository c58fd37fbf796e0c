"""Judges what was counted by tests/counts/ceilings.yaml, and keeps all of it for the list."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping

import yaml

FILE = pathlib.Path(__file__).with_name("ceilings.yaml")


class Ceilings:
    def __init__(self, file: pathlib.Path = FILE) -> None:
        self._sections = yaml.safe_load(file.read_text())
        self.lines: list[str] = []

    def judge(self, section: str, counted: Mapping[str, int | float], look: Callable[[str], str]) -> None:
        """All of a section at once: a count that nobody judges and a ceiling that nobody reaches are failures too.
        `look(name)` shows of what the count is made."""
        __tracebackhide__ = True
        ceilings = self._sections[section]["ceilings"]
        self._list(section, ceilings, counted, look)
        wrong = [
            f"{name}: {counted.get(name, 'not counted any more')}, but {FILE.name} has {ceilings.get(name, 'no ceiling for it')}"
            for name in sorted(ceilings.keys() ^ counted.keys())
        ]
        for name in ceilings.keys() & counted.keys():
            if difference := self._difference(ceilings[name], counted[name]):
                wrong.append(f"{name}: {difference}\n    what it is made of:\n{_indented(look(name), 6)}")
        why = self._sections[section]["because"].strip()
        assert not wrong, f"{section} ({why})\n" + "\n".join(wrong) + f"\n  {self._sections[section]['where_to_look'].strip()}"

    @staticmethod
    def _difference(ceiling: Mapping[str, int], counted: int | float) -> str:
        """`exactly` is a ceiling too: a count that fell lowers it, or it could creep back unseen."""
        most = ceiling.get("exactly", ceiling.get("at_most", 0))
        if counted > most:
            return f"{counted:g}, ceiling {most}: {counted - most:g} more. The ceiling's reason: {ceiling['because']}"
        if "exactly" in ceiling and counted < most:
            return f"{counted:g}, ceiling {most}: {most - counted:g} fewer. Lower it in {FILE.name}, so that it stays so."
        return ""

    def _list(self, section: str, ceilings: Mapping, counted: Mapping[str, int | float], look: Callable[[str], str]) -> None:
        self.lines.append(f"{section}: {self._sections[section]['what'].strip()}")
        for name, count in counted.items():
            ceiling = ceilings.get(name, {})
            kind = "exactly" if "exactly" in ceiling else "at most"
            most = ceiling.get("exactly", ceiling.get("at_most", "?"))
            self.lines.append(f"  {name:<34} {count:>7g}   {kind} {most}")
        for name in counted:
            self.lines += [f"  -- {name}", _indented(look(name), 5)]
        self.lines.append("")


def _indented(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())
