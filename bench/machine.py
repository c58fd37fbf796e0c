"""What a process costs and what the machine is, read from /proc."""

from __future__ import annotations

import os
import pathlib
import re

TICKS = os.sysconf("SC_CLK_TCK")


def children_of() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    return children


def tree(pid: int) -> list[int]:
    """The process and everything it started, a server's workers included."""
    children, found, queue = children_of(), [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        queue.extend(children.get(current, []))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, children that have ended included."""
    total = 0
    for member in tree(pid):
        try:
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(fields[i]) for i in (11, 12, 13, 14))
    return total / TICKS


def pss_bytes(pid: int) -> int:
    """Proportional set size of the tree: shared pages are counted once over all who share them."""
    total = 0
    for member in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue
        if match := re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE):
            total += int(match[1]) * 1024
    return total


def facts() -> dict[str, object]:
    """The machine, for whoever compares figures."""
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", cpu)
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "cpu": model[1].strip() if model else "unknown",
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / 1024 / 1024, 1) if memory else 0,
        "kernel": os.uname().release,
        "load": round(os.getloadavg()[0], 2),
    }
