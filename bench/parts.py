"""What the parts of a stack cost, and the load generator."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Mapping, Sequence

from stack import Stack
from stack.services import SERVICES, TOOLS

from bench import machine

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
SERVERS = ["postgres", "redis", "rabbitmq"]
CONNECTIONS = 32
ANSWER_SECONDS = 20  # longer than any deadline of the shop


def pids(stack: Stack, part: str) -> list[int]:
    return [one.process.pid for one in stack.parts.values() if one.name == part and one.process.pid]


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """User and system time since its start, by part; all replicas of a service together."""
    return {
        part: sum(machine.cpu_seconds(pid) for pid in pids(stack, part)) for part in [*SERVICES, *SERVERS, *TOOLS]
    }


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {part: after[part] - before[part] for part in before}


def pss_mib(stack: Stack) -> dict[str, float]:
    return {
        part: round(sum(machine.pss_bytes(pid) for pid in pids(stack, part)) / 2**20, 1)
        for part in [*SERVICES, *SERVERS]
    }


class Failed(Exception):
    """A measurement that says nothing, and why."""


def wrk(url: str, script: str, arguments: Sequence[str] = (), *, seconds: int, connections: int = CONNECTIONS) -> dict:
    """Asks `url` as bench/load/SCRIPT says, over so many connections, each again when it was answered; what it counted."""
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={ANSWER_SECONDS}s", "--latency",
        "-s", str(CHECKOUT / "bench/load" / script), url, "--", *map(str, arguments),
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def latency_ms(counted: Mapping[str, float]) -> dict[str, float]:
    return {
        "p50": counted["p50_us"] / 1000, "p99": counted["p99_us"] / 1000, "p99.9": counted["p999_us"] / 1000,
    }  # fmt: skip
