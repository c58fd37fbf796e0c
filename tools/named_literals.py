"""Finds the literals by which tests name places in the sources: crash points and mutants.

A name is a literal on the line of its call, well formed, and stands once: otherwise a test could not tell
which of the places it visited. Used by tools/crash-points, tools/mutants and the house rules.
"""

import dataclasses
import json
import pathlib
import re
import sys
from collections.abc import Iterable

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


@dataclasses.dataclass(frozen=True)
class Kind:
    rule: str
    call: re.Pattern[str]  # group 2: the literal's text
    definition: str  # the files that define the call, without their suffix
    example: str


CRASH_POINTS = Kind(
    "crash-point", re.compile(r'\bcrash_point\(\s*("([^"]*)")?'), "servicekit/runtime/crash_point.", "order.place.before_commit"
)
MUTANTS = Kind("mutant", re.compile(r'\bmutant(?:_sql)?<\s*("([^"]*)")?'), "servicekit/runtime/mutant.", "order.inbox_off")


@dataclasses.dataclass(frozen=True)
class Problem:
    file: str
    line: int
    what: str


def find(kind: Kind, files: Iterable[tuple[str, str]]) -> tuple[list[dict], list[Problem]]:
    """`files`: (path, text without comments). Returns {"name", "file", "line"} sorted by name, and what is wrong."""
    found, problems, first = [], [], {}
    for file, text in files:
        if file.startswith(kind.definition):
            continue
        for match in kind.call.finditer(text):
            line, name = text.count("\n", 0, match.start()) + 1, match[2]
            if match[1] is None or "\n" in match[0]:
                problems.append(Problem(file, line, "its name is a literal on the line of its call"))
            elif not NAME.fullmatch(name):
                problems.append(Problem(file, line, f'"{name}" is not of the form "{kind.example}"'))
            elif name in first:
                problems.append(Problem(file, line, f'"{name}" stands already at {first[name]}'))
            else:
                first[name] = f"{file}:{line}"
                found.append({"name": name, "file": file, "line": line})
    return sorted(found, key=lambda place: place["name"]), problems


def sources(root: pathlib.Path) -> Iterable[tuple[str, str]]:
    """What runs in production, without its line comments; tests' own names are not listed."""
    for top in ("services", "servicekit"):
        for path in sorted((root / top).rglob("*.[ch]pp")):
            name = path.relative_to(root).as_posix()
            if "/tests/" not in name:
                yield name, re.sub(r"//[^\n]*", "", path.read_text())


def main(kind: Kind) -> int:
    """Prints the list as JSON; the first argument names another checkout. 1 when something is wrong."""
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    found, problems = find(kind, sources(root))
    for problem in problems:
        print(f"{problem.file}:{problem.line}: {kind.rule}: {problem.what}", file=sys.stderr)
    print(json.dumps(found, indent=1))
    return 1 if problems else 0
