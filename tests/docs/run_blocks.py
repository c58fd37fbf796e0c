#!/usr/bin/env python3
"""Runs the commands of a guide: run_blocks.py GUIDE.md [--mark run|run-on-host|run-in-deploy] [--print]

A fenced block that opens with "```bash run" is meant to be executed; all of one guide share one shell, top
to bottom, as a reader would type them. The first command that fails ends the run and is named by its line.
`run-on-host` marks what needs the machine itself (a container engine), which the Debian 13 root has not; `run-in-deploy` what is typed in a copy of the tree inside
the delivery root (tests/deploy/test_guides.py).
`--print` writes the script instead of running it.
"""
import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys

FENCE = re.compile(r"^```bash (?P<mark>\S+)\s*$")


class GuideError(Exception):
    """The guide cannot be run as it is written."""


@dataclasses.dataclass(frozen=True)
class Block:
    line: int  # of its first command
    text: str


def blocks_of(text: str, mark: str) -> list[Block]:
    found: list[Block] = []
    begin: int | None = None
    wanted = False
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if begin is None and line.startswith("```"):
            fence = FENCE.match(line)
            begin, wanted = number, bool(fence and fence["mark"] == mark)
        elif begin is not None and line.strip() == "```":
            if wanted:
                found.append(Block(begin + 1, "\n".join(lines[begin:number - 1]) + "\n"))
            begin = None
    if begin is not None:
        raise GuideError(f"the block that begins in line {begin} has no end")
    return found


def script_of(guide: pathlib.Path, mark: str) -> str:
    """One bash script, in which an error is told with the line of the guide's block it stands in."""
    blocks = blocks_of(guide.read_text(), mark)
    if not blocks:
        raise GuideError(f"{guide}: no block is marked `bash {mark}`; a check that finds nothing checks nothing")
    for block in blocks:
        for number, line in enumerate(block.text.splitlines(), start=block.line):
            if line.startswith("! "):
                raise GuideError(f"{guide}:{number}: bash goes on when a `! command` succeeds; write: if command; then false; fi")
    parts = ["set -euo pipefail", "block=0",
             f'trap \'echo "{guide.name}: the block in line $block failed: $BASH_COMMAND" >&2\' ERR']
    for block in blocks:
        parts += [f"block={block.line}", f'echo "{guide.name}:{block.line}" >&2', block.text.rstrip("\n")]
    return "\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("guide", type=pathlib.Path)
    parser.add_argument("--mark", default="run", choices=["run", "run-on-host", "run-in-deploy"])
    parser.add_argument("--print", action="store_true", dest="only_print")
    arguments = parser.parse_args()
    try:
        script = script_of(arguments.guide, arguments.mark)
    except GuideError as error:
        print(f"run_blocks: {error}", file=sys.stderr)
        return 1
    if arguments.only_print:
        print(script, end="")
        return 0
    return subprocess.run(["bash", "-c", script, arguments.guide.name], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
