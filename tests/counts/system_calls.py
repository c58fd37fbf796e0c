"""Which system calls the loop of a process makes for one request, as strace sees them."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import subprocess
import time
from collections.abc import Iterator

ATTACH_SECONDS = 60.0
_RECEIVING = {"recvmsg", "recvfrom", "read", "readv"}


@dataclasses.dataclass(frozen=True)
class Call:
    name: str
    text: str


class Trace:
    """Of the calls between `with` and its end. Slows the process, changes nothing else."""

    def __init__(self, pid: int, file: pathlib.Path) -> None:
        self._pid, self._file = pid, file
        self._strace: subprocess.Popen | None = None

    def __enter__(self) -> Trace:
        self._strace = subprocess.Popen(
            ["strace", "-f", "-p", str(self._pid), "-o", str(self._file), "-e", "signal=none", "-s", "64", "-qq"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
        end = time.monotonic() + ATTACH_SECONDS
        while not self._attached():
            assert self._strace.poll() is None, f"strace: {self._strace.stderr.read()}"
            assert time.monotonic() < end, "strace did not attach"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._strace.terminate()  # it detaches
        self._strace.communicate(timeout=20)

    def requests(self, marker: str) -> list[list[Call]]:
        """The calls of the loop's thread, cut where it receives `marker`; the first and the last cut are not whole."""
        cuts: list[list[Call]] = [[]]
        for call in self._calls():
            if call.name in _RECEIVING and marker in call.text:
                cuts.append([])
            cuts[-1].append(call)
        return cuts[1:-1]

    def _attached(self) -> bool:
        tasks = pathlib.Path(f"/proc/{self._pid}/task").iterdir()
        return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)

    def _calls(self) -> Iterator[Call]:
        """Calls whose line another thread's cut in two are put together again."""
        begun = ""
        for line in self._file.read_text(errors="replace").splitlines():
            thread, _, text = line.partition(" ")
            text = text.strip()
            if int(thread) != self._pid or text.startswith(("+++", "---")):
                continue
            if text.endswith("<unfinished ...>"):
                begun = text.removesuffix("<unfinished ...>")
                continue
            if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
                text, begun = begun + resumed[1], ""
            if name := re.match(r"(\w+)\(", text):
                yield Call(name[1], text)
