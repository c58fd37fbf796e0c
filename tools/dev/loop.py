"""From a saved file to a restarted program."""

import pathlib
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from stack import StackError

SUFFIXES = (".cpp", ".hpp", ".sql", ".yaml", "CMakeLists.txt", ".cmake")
# An editor saves by several steps (write, rename); they arrive within this time.
SETTLE_SECONDS = 0.05
OUTPUT_LINES_MAX = 40


def build(root: pathlib.Path, programs: list[str]) -> tuple[bool, str]:
    """Compiles the programs alone: suites wait for `make test`."""
    run = subprocess.run(["tools/build", "debug", *programs], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True)  # fmt: skip
    lines = [line for line in run.stdout.splitlines() if not line.startswith("[")]
    return run.returncode == 0, "\n".join(lines[:OUTPUT_LINES_MAX])


class Watcher:
    """Yields the sets of files saved since it was asked last, relative to the root."""

    def __init__(self, root: pathlib.Path, folders: list[str]) -> None:
        self._root = root
        existing = [folder for folder in folders if (root / folder).is_dir()]
        self._process = subprocess.Popen(
            ["inotifywait", "-m", "-r", "-e", "close_write,moved_to,delete", "--format", "%w%f", *existing],
            cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in self._process.stderr:
            if "established" in line:
                return
        raise RuntimeError("inotifywait cannot watch the sources")

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()
        self._process.stderr.close()

    def __iter__(self) -> Iterator[set[str]]:
        while True:
            line = self._process.stdout.readline()
            if not line:
                return
            saved = {line.rstrip("\n")}
            while select.select([self._process.stdout], [], [], SETTLE_SECONDS)[0]:
                saved.add(self._process.stdout.readline().rstrip("\n"))
            if wanted := {file for file in saved if file.endswith(SUFFIXES)}:
                yield wanted


class Loop:
    """Builds and restarts what the build changed; a build that fails leaves everything running."""

    def __init__(self, root: pathlib.Path, programs: list[str], build: Callable[[], tuple[bool, str]], stack: Any,
                 say: Callable[[str], None]) -> None:  # fmt: skip
        self._binaries = [root / "build/debug/bin" / name for name in programs]
        self._build = build
        self._stack = stack
        self._say = say
        self._known = self._stamps()

    def _stamps(self) -> dict[str, int]:
        return {file.name: file.stat().st_mtime_ns for file in self._binaries if file.exists()}

    def turn(self, saved: set[str]) -> None:
        began = time.monotonic()
        built, output = self._build()
        if not built:
            self._say(f"{output}\nnot built; what ran before runs on")
            return
        now = self._stamps()
        changed = sorted(name for name in now if now[name] != self._known.get(name))
        self._known = now
        for name in changed:
            try:
                if any(file.startswith(f"services/{name}/migrations/") for file in saved):
                    self._stack.run_command(name, "migrate", migrate=True)
                self._stack.restart(name)
            except StackError as error:
                self._say(f"{name} did not come up: {error}")
        what = " ".join(changed) or "nothing to restart"
        self._say(f"{', '.join(sorted(saved))} → {what}  {time.monotonic() - began:.1f} s")
