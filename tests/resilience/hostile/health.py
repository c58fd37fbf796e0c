"""What a service is before and after: the same process, no more memory and descriptors than it needs, no error of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any

from stack.services import SERVICES

# Buffers of 1 MiB bodies and of an upload, kept by the allocator; what is kept for ever would be a multiple:
# the siege sends some 300 MiB and 10,000 connections.
GROWTH_MIB_MAX = 96
DESCRIPTORS_MORE_MAX = 64  # pools that had not been needed before
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclasses.dataclass(frozen=True)
class Pulse:
    pid: int
    interruptions: int
    mebibytes: float
    descriptors: int
    log_bytes: int


def pulses(stack) -> dict[str, Pulse]:
    found = {}
    for name in SERVICES:
        [part] = stack.state()["parts"][name]
        pages = int(pathlib.Path(f"/proc/{part['pid']}/statm").read_text().split()[1])
        descriptors = len(os.listdir(f"/proc/{part['pid']}/fd"))
        found[name] = Pulse(part["pid"], part["interruptions"], pages * PAGE_BYTES / 2**20, descriptors, os.path.getsize(part["log"]))
    return found


def compared(before: dict[str, Pulse], after: dict[str, Pulse]) -> list[str]:
    found = []
    for name, was in before.items():
        now = after[name]
        if now.pid != was.pid or now.interruptions != was.interruptions:
            found.append(f"{name}: its process ended")
        if now.mebibytes - was.mebibytes > GROWTH_MIB_MAX:
            found.append(f"{name}: grew from {was.mebibytes:.0f} to {now.mebibytes:.0f} MiB")
        if now.descriptors - was.descriptors > DESCRIPTORS_MORE_MAX:
            found.append(f"{name}: held {was.descriptors} descriptors, and holds {now.descriptors}")
    return found


def errors_said(stack, before: dict[str, Pulse]) -> list[str]:
    """Lines of level error since `before`: what a client sends is no reason to wake somebody."""
    found = []
    for name, was in before.items():
        [part] = stack.state()["parts"][name]
        with open(part["log"], "rb") as log:
            log.seek(was.log_bytes)
            found += [f"{name} says: {line.get('event')} {line.get('what', '')}" for line in map(parsed, log) if line.get("level") == "error"]
    return sorted(set(found))


def parsed(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
