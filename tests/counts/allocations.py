"""What allocation_counter.cpp, preloaded into a service, has counted."""

from __future__ import annotations

import collections
import dataclasses
import mmap
import pathlib
import re
import struct
import subprocess

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARY = CHECKOUT / "build/debug/tests/counts/liballocation_counter.so"
SYMBOLIZER = "llvm-symbolizer-19"

# The layout of its page.
_THREADS_MAX, _RECORDS_MAX, _FRAMES_MAX = 64, 4096, 32
_HEAD, _THREAD, _RECORD = struct.Struct("=QQQ"), struct.Struct("=QQQ"), struct.Struct(f"=QQ{_FRAMES_MAX}Q")
_THREADS_AT = _HEAD.size
_RECORDS_AT = _THREADS_AT + _THREADS_MAX * _THREAD.size
_SIZE = _RECORDS_AT + _RECORDS_MAX * _RECORD.size

# Who wanted it, among frames that only say how something allocates.
_OURS = re.compile(r"(?:^|/)((?:services|servicekit)/[^:]+:\d+)")


@dataclasses.dataclass(frozen=True)
class Count:
    allocations: int
    bytes: int

    def __sub__(self, before: Count) -> Count:
        return Count(self.allocations - before.allocations, self.bytes - before.bytes)


class Counter:
    """Of one process, which is started with `environment`."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        file.write_bytes(bytes(_SIZE))
        file.chmod(0o666)  # the service runs as another user
        with file.open("r+b") as opened:
            self._page = mmap.mmap(opened.fileno(), _SIZE)

    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(LIBRARY), "COUNT_ALLOCATIONS": str(self._file)}

    def of_thread(self, thread: int) -> Count:
        for row in range(_HEAD.unpack_from(self._page)[0]):
            number, allocations, total = _THREAD.unpack_from(self._page, _THREADS_AT + row * _THREAD.size)
            if number == thread:
                return Count(allocations, total)
        return Count(0, 0)

    def record(self, thread: int) -> None:
        """From now on who asks is kept too, until `recorded`."""
        self._write_head(thread, 0)

    def recorded(self) -> list[tuple[int, list[int]]]:
        """Size and return addresses, innermost first, of each allocation since `record`."""
        count = min(_HEAD.unpack_from(self._page)[2], _RECORDS_MAX)
        self._write_head(0, 0)
        rows = [_RECORD.unpack_from(self._page, _RECORDS_AT + row * _RECORD.size) for row in range(count)]
        return [(size, list(frames[:depth])) for size, depth, *frames in rows]

    def _write_head(self, thread: int, records: int) -> None:
        struct.pack_into("=QQ", self._page, 8, thread, records)


def by_place(pid: int, recorded: list[tuple[int, list[int]]], times: int) -> str:
    """One line a place in our sources that allocated, with how often and how much by request of `times`. What a
    library does for itself stands under its own innermost function. What came by less than in every other request is of
    no request: timers and pollers."""
    frames_of = _frames(pid, {address for _, frames in recorded for address in frames})
    counts: collections.Counter[str] = collections.Counter()
    sizes: collections.Counter[str] = collections.Counter()
    for size, addresses in recorded:
        frames = [frame for address in addresses for frame in frames_of.get(address, [])]
        ours = (f"{match[1]} {function}" for function, place in frames if (match := _OURS.search(place)))
        where = next(ours, f"{frames[0][0]}, no frame of ours" if frames else "outside of the program")
        counts[where] += 1
        sizes[where] += size
    return "\n".join(f"{count / times:6.1f}  {sizes[where] / times:8.0f} bytes  {where[:120]}"
                     for where, count in counts.most_common() if count * 2 >= times)  # fmt: skip


def _frames(pid: int, addresses: set[int]) -> dict[int, list[tuple[str, str]]]:
    """Function and file:line of those that lie in the program, what was inlined there first."""
    program = pathlib.Path(f"/proc/{pid}/exe").readlink()
    lines = [line.split() for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()]
    mapped = [line[0].split("-") for line in lines if len(line) > 5 and line[5] == str(program)]
    spans = [(int(low, 16), int(high, 16)) for low, high in mapped]
    base = min(low for low, _ in spans)
    inside = sorted(address for address in addresses if any(low <= address < high for low, high in spans))
    # What lies before the return address made the call.
    asked = "\n".join(hex(address - base - 1) for address in inside)
    said = subprocess.run([SYMBOLIZER, f"--obj={program}", "--functions=short"], input=asked,
                          text=True, capture_output=True, check=True).stdout  # fmt: skip
    found = {}
    for address, block in zip(inside, said.strip().split("\n\n"), strict=True):
        words = block.splitlines()
        found[address] = list(zip(words[::2], words[1::2], strict=True))
    return found
